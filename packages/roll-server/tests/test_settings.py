"""Settings: an option, a variable or a key says each of them, and wrong ones say so."""

import os
from pathlib import Path

import click
import pytest
from roll_server.env_file import EnvFile, read_env_file
from roll_server.exits import StartError
from roll_server.options import LIMITS, OPTIONS
from roll_server.run import run
from roll_server.settings import Settings, command

HALF = "0.5"


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """Be in an empty folder, with nothing said by the environment."""
    for name in list(os.environ):
        if name.startswith("ROLL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write_table(text):
    Path("pyproject.toml").write_text(f"[tool.roll]\n{text}\n")


def resolve(*arguments):
    """Read the settings as `roll run` does, and give them to nothing."""
    seen = []

    @command(*OPTIONS)
    def take(**values):
        seen.append(Settings.take(values))

    take(arguments, standalone_mode=False)
    return seen[0]


def refusal(*arguments):
    with pytest.raises(StartError) as caught:
        resolve(*arguments)
    assert caught.value.exit_code == 2
    return caught.value.message


def test_nothing_said_means_the_defaults():
    assert resolve() == Settings(
        app=None,
        factory=False,
        host="127.0.0.1",
        port=3579,
        uds=None,
        fd=None,
        workers=1,
        reload=False,
        reload_dir=(Path("."),),
        tls_cert=None,
        tls_key=None,
        trusted_proxies=None,
        access_log=None,
        log_format=None,
        health=None,
        drain=None,
        env_file=None,
        limits={},
    )


TEXTS = {
    "app": "shop:app",
    "factory": "true",
    "host": "::1",
    "port": "0",
    "uds": "run/app.sock",
    "fd": "3",
    "workers": "4",
    "reload": "TRUE",
    "reload_dir": "src, .",
    "tls_cert": "cert.pem",
    "tls_key": "key.pem",
    "trusted_proxies": "127.0.0.1,unix",
    "access_log": "true",
    "log_format": "json",
    "health": "/healthz",
    "drain": HALF,
    "env_file": "some.env",
    "graceful_timeout": HALF,
}
VALUES = {
    "factory": True,
    "port": 0,
    "uds": Path("run/app.sock"),
    "fd": 3,
    "workers": 4,
    "reload": True,
    "reload_dir": (Path("src"), Path(".")),
    "tls_cert": Path("cert.pem"),
    "tls_key": Path("key.pem"),
    "trusted_proxies": ("127.0.0.1", "unix"),
    "access_log": True,
    "drain": 0.5,
    "env_file": EnvFile(Path("some.env"), frozenset()),
    "graceful_timeout": 0.5,
}
# What has to be there for it, or not to be.
BESIDE = {"tls_key": ["--tls-cert", "cert.pem"]}

NAMES = [option.name for option in OPTIONS]


def flag(name, text):
    if name == "app":
        return [text]
    if VALUES.get(name) is True:
        return [f"--{name.replace('_', '-')}"]
    return [f"--{name.replace('_', '-')}", text]


@pytest.mark.parametrize("source", ["option", "variable", "key", "text key"])
@pytest.mark.parametrize("name", NAMES)
def test_each_is_an_option_a_variable_and_a_key(name, source, monkeypatch):
    Path("src").mkdir()
    Path("some.env").write_text("")
    text = TEXTS.get(name, "7")
    value = VALUES.get(name, 7 if name in LIMITS else text)
    key = name.replace("_", "-")
    arguments = BESIDE.get(name, [])
    if source == "option":
        arguments = [*arguments, *flag(name, text)]
    elif source == "variable":
        monkeypatch.setenv(f"ROLL_{name.upper()}", text)
    elif source == "text key" or isinstance(value, str | Path | EnvFile):
        write_table(f'{key} = "{text}"')
    else:
        value_of_toml = [str(each) for each in value] if type(value) is tuple else value
        write_table(f"{key} = {value_of_toml!r}".replace("True", "true"))
    settings = resolve(*arguments)
    if name in LIMITS:
        assert settings.limits == {LIMITS[name]: value}
    else:
        assert getattr(settings, name) == value


def test_an_option_precedes_a_variable_and_that_a_key(monkeypatch):
    write_table("port = 1\nworkers = 2\nlimit-body = 3")
    monkeypatch.setenv("ROLL_PORT", "4")
    monkeypatch.setenv("ROLL_WORKERS", "5")
    settings = resolve("--port", "6")
    assert (settings.port, settings.workers) == (6, 5)
    assert settings.limits == {"body": 3}


def test_a_switch_is_turned_off_by_its_option():
    write_table("reload = true")
    assert resolve().reload is True
    assert resolve("--no-reload").reload is False


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("port", "65536", "65536 is not in the range 0<=x<=65535."),
        ("port", "-1", "-1 is not in the range 0<=x<=65535."),
        ("port", "1" * 5000, "is not a valid integer range."),
        ("port", "\N{SUPERSCRIPT TWO}", "is not a valid integer range."),
        ("workers", "0", "0 is not in the range 1<=x<=1024."),
        (
            "limit_backlog",
            str(2**31),
            f"{2**31} is not in the range 1<=x<={2**31 - 1}.",
        ),
        ("limit_body", "1.5", "'1.5' is not a valid integer range."),
        ("limit_keep_alive", "soon", "'soon' is not a time in seconds, such as 0.5"),
        ("limit_keep_alive", "nan", "'nan' is not a time in seconds, such as 0.5"),
        ("limit_keep_alive", "inf", "'inf' is not a time in seconds, such as 0.5"),
        ("drain", "9" * 400, "9' is not a time in seconds, such as 0.5"),
        ("drain", "-1", "'-1' is not a time in seconds, such as 0.5"),
        ("health", "healthz", "'healthz' does not start with a slash"),
        ("trusted_proxies", "127.0.0.1,,", "give a text that is not empty"),
    ],
)
def test_a_text_that_cannot_be_is_refused(name, text, message, monkeypatch):
    key = name.replace("_", "-")
    said = refusal(f"--{key}", text)
    assert said.startswith(f"--{key}: ")
    assert said.endswith(message)
    write_table(f"{key} = '{text}'")
    assert refusal().startswith(f"{key} in [tool.roll]: ")
    monkeypatch.setenv(f"ROLL_{name.upper()}", text)
    said = refusal()
    assert said.startswith(f"ROLL_{name.upper()}: ")
    assert said.endswith(message)


def test_a_switch_is_true_or_false(monkeypatch):
    monkeypatch.setenv("ROLL_RELOAD", "maybe")
    assert refusal().startswith("ROLL_RELOAD: 'maybe' is not a valid boolean.")


def test_a_host_may_be_empty():
    assert resolve("--host", "").host == ""
    write_table("host = ''")
    assert resolve().host == ""


def test_what_is_empty_is_refused(monkeypatch):
    assert refusal("--log-format", "") == "--log-format: give a text that is not empty"
    monkeypatch.setenv("ROLL_TLS_CERT", "")
    assert refusal() == "ROLL_TLS_CERT is empty: give it a value, or unset it"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("port = true", "port in [tool.roll]: 'true' is not a valid integer"),
        ("port = 1.0", "port in [tool.roll]: '1.0' is not a valid integer"),
        ("log-format = ''", "log-format in [tool.roll]: give a text that is not empty"),
        ("reload = 2", "reload in [tool.roll]: '2' is not a valid boolean."),
        ("drain = true", "drain in [tool.roll]: 'true' is not a time in seconds"),
        (f"drain = {'9' * 400}", "9' is not a time in seconds, such as 0.5"),
        (f"port = 0x{'9' * 4000}", "[tool.roll] of pyproject.toml cannot be read: "),
        ("drain = []", "drain in [tool.roll]: '' is not a time in seconds"),
        ("reload-dir = ['']", "reload-dir in [tool.roll]: give a text that is not"),
        ("reload-dir = []", "reload-dir in [tool.roll]: give a text that is not"),
        ("prot = 1", "the key 'prot' means nothing to Roll: did you mean 'port'?"),
        ("limit_body = 1", "the key 'limit_body' means nothing to Roll: did you mean"),
        ("zzz = 1", "the key 'zzz' means nothing to Roll: see roll run --help"),
        ("[tool.roll]", "pyproject.toml cannot be read: "),
        ("x", "pyproject.toml cannot be read: "),
    ],
)
def test_a_key_that_cannot_be_is_refused(line, message):
    write_table(line)
    assert message in refusal()


def test_a_table_that_is_none_is_refused():
    Path("pyproject.toml").write_text("[tool]\nroll = 1\n")
    assert refusal() == "[tool.roll] of pyproject.toml is not a table"
    Path("pyproject.toml").write_text("tool = 1\n")
    assert resolve().port == 3579


def test_help_is_given_whatever_the_file_says(capsys):
    write_table("prot = 1")
    with pytest.raises(click.exceptions.Exit):
        run.make_context("run", ["--help"])
    assert "--port" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ROLL_PROT", "did you mean 'ROLL_PORT'?"),
        ("ROLL_SHOP_DATABASE_URL", "see roll run --help"),
    ],
)
def test_a_variable_that_means_nothing_is_refused(name, hint, monkeypatch):
    monkeypatch.setenv(name, "1")
    assert refusal() == f"the variable {name!r} means nothing to Roll: {hint}"


@pytest.mark.parametrize("name", ["ROLL_TEST_TIMES", "ROLL_METRICS_DIR"])
def test_a_variable_of_another_package_is_left_to_it(name, monkeypatch):
    monkeypatch.setenv(name, "5")
    assert resolve().port == 3579


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--uds x --fd 3", "uds and fd are both set: leave out one of them"),
        ("--tls-key x", "tls-key is set without tls-cert: name the certificate, too"),
        ("--reload --workers 2", "reload and workers are both set: leave"),
        ("--reload --reload-dir nowhere", "'nowhere', which is not a folder"),
        ("--limit-keep-alive 0", "Limits(keep_alive=0.0): give a number above 0"),
        ("--graceful-timeout 0", "Limits(shutdown=0.0): give a number above 0"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments, message):
    assert message in refusal(*arguments.split())


def test_what_needs_unix_is_refused_elsewhere(monkeypatch):
    monkeypatch.delattr(os, "fork")
    assert refusal("--workers", "2").startswith("reload and workers need Unix: use")
    assert refusal("--reload").startswith("reload and workers need Unix: use")
    assert resolve("--workers", "1").workers == 1


# The env file


def test_an_env_file_sets_what_the_environment_does_not(monkeypatch):
    Path("local.env").write_text(
        "# a comment\nexport ROLL_PORT=1\nROLL_HOST='::1'\nSHOP_DSN=\"a b\"\n\nEMPTY=\n"
    )
    write_table('env-file = "local.env"\nhost = "0.0.0.0"')
    monkeypatch.setenv("ROLL_PORT", "2")
    for name in ("ROLL_HOST", "SHOP_DSN", "EMPTY"):
        monkeypatch.setenv(name, "")  # so that it is taken out again afterwards
        monkeypatch.delenv(name)
    settings = resolve()
    assert (settings.port, settings.host) == (2, "::1")
    assert (os.environ["SHOP_DSN"], os.environ["EMPTY"]) == ("a b", "")
    assert settings.env_file.added == {"ROLL_HOST", "SHOP_DSN", "EMPTY"}


def test_values_of_an_env_file_name_others(monkeypatch):
    monkeypatch.setenv("SHOP_USER", "meg")
    monkeypatch.setenv("SHOP_HOST", "elsewhere")
    Path("local.env").write_text(
        "SHOP_HOST=db\n"
        "SHOP_DSN=postgres://${SHOP_USER}@${SHOP_HOST}/${SHOP_NAME:-shop}${SHOP_NO}\n"
        "SHOP_RAW='$SHOP_HOST'\n"
    )
    assert read_env_file(Path("local.env")) == {
        "SHOP_HOST": "db",
        "SHOP_DSN": "postgres://meg@db/shop",
        "SHOP_RAW": "$SHOP_HOST",
    }


def test_a_variable_of_an_env_file_that_means_nothing_is_refused(monkeypatch):
    Path("local.env").write_text("ROLL_PROT=1\n")
    monkeypatch.setenv("ROLL_PROT", "")
    monkeypatch.delenv("ROLL_PROT")
    assert "did you mean 'ROLL_PORT'?" in refusal("--env-file", "local.env")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "the env file local.env cannot be read: "),
        (b"\xff", "the env file local.env cannot be read: "),
        (b"A=1\nnothing\n", "line 2 of the env file local.env is not NAME=value"),
        (b"A='1\n", "line 1 of the env file local.env is not NAME=value"),
    ],
)
def test_an_env_file_that_cannot_be_read_is_refused(content, message):
    if content is not None:
        Path("local.env").write_bytes(content)
    assert refusal("--env-file", "local.env").startswith(message)
