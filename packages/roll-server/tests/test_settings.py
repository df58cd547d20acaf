"""Settings: an option, a variable or a key says each of them, and wrong ones say so."""

import os
from pathlib import Path

import pytest
from roll_server.exits import StartError
from roll_server.settings import OPTIONS, Settings, read_env_file, resolve

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


def refusal(**flags):
    with pytest.raises(StartError) as caught:
        resolve(flags)
    assert caught.value.exit_code == 2
    return caught.value.message


def test_nothing_said_means_the_defaults():
    assert resolve({}) == Settings()


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
    "drain": 0.5,
    "env_file": Path("some.env"),
    "graceful_timeout": 0.5,
}
# What has to be there for it, or not to be.
BESIDE = {"tls_key": {"tls_cert": "cert.pem"}}


@pytest.mark.parametrize("source", ["option", "variable", "key", "text key"])
@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_each_is_an_option_a_variable_and_a_key(option, source, monkeypatch):
    Path("src").mkdir()
    Path("some.env").write_text("")
    text = TEXTS.get(option.name, "7")
    value = VALUES.get(option.name, 7 if option.limit else text)
    flags = dict(BESIDE.get(option.name, {}))
    if source == "option":
        flags[option.name] = text
    elif source == "variable":
        monkeypatch.setenv(option.variable, text)
    elif source == "text key" or isinstance(value, str | Path):
        write_table(f'{option.key} = "{text}"')
    else:
        value_of_toml = [str(each) for each in value] if type(value) is tuple else value
        write_table(f"{option.key} = {value_of_toml!r}".replace("True", "true"))
    settings = resolve(flags)
    if option.limit:
        assert settings.limits == {option.limit: value}
    else:
        assert getattr(settings, option.name) == value


def test_an_option_precedes_a_variable_and_that_a_key(monkeypatch):
    write_table("port = 1\nworkers = 2\nlimit-body = 3")
    monkeypatch.setenv("ROLL_PORT", "4")
    monkeypatch.setenv("ROLL_WORKERS", "5")
    settings = resolve({"port": "6"})
    assert (settings.port, settings.workers) == (6, 5)
    assert settings.limits == {"body": 3}
    assert resolve({"reload": False}).reload is False


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("port", "65536", "'65536': give a whole number from 0 to 65535"),
        ("port", "-1", "'-1': give a whole number from 0 to 65535"),
        ("port", "1" * 5000, "': give a whole number from 0 to 65535"),
        ("port", "\N{SUPERSCRIPT TWO}", ": give a whole number from 0 to 65535"),
        ("workers", "0", "'0': give a whole number from 1 to 1024"),
        ("limit_backlog", str(2**31), f"': give a whole number from 1 to {2**31 - 1}"),
        ("limit_body", "1.5", "'1.5': give a whole number of 1 or more"),
        ("limit_keep_alive", "soon", "'soon': give seconds, such as 5 or 0.5"),
        ("limit_keep_alive", "nan", "'nan': give seconds, such as 5 or 0.5"),
        ("limit_keep_alive", "inf", "'inf': give seconds, such as 5 or 0.5"),
        ("drain", "9" * 400, "': give seconds, such as 5 or 0.5"),
        ("drain", "-1", "'-1': give seconds, such as 5 or 0.5"),
        ("reload", "maybe", "'maybe': give true or false"),
        ("host", "", "'': give a text"),
        ("health", "healthz", "'healthz': give a path such as /healthz"),
        ("trusted_proxies", "127.0.0.1,,", "'127.0.0.1,,': give a text"),
    ],
)
def test_a_text_that_cannot_be_is_refused(name, text, message, monkeypatch):
    option = next(each for each in OPTIONS if each.name == name)
    said = refusal(**{name: text})
    assert said.startswith(f"--{option.key} is ")
    assert said.endswith(message)
    monkeypatch.setenv(option.variable, text)
    assert refusal().startswith(f"{option.variable} is ")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("port = true", "port in [tool.roll] is True: give a whole number from 0 to"),
        ("port = 1.0", "port in [tool.roll] is 1.0: give a whole number from 0 to"),
        ("host = 1", "host in [tool.roll] is 1: give a text"),
        ("reload = 1", "reload in [tool.roll] is 1: give true or false"),
        ("drain = true", "drain in [tool.roll] is True: give seconds"),
        (f"drain = {'9' * 400}", "99: give seconds, such as 5 or 0.5"),
        ("drain = []", "drain in [tool.roll] is []: give seconds, such as 5 or 0.5"),
        ("reload-dir = 1", "reload-dir in [tool.roll] is 1: give some, with commas"),
        ("reload-dir = [1]", "reload-dir in [tool.roll] is [1]: give a text"),
        ("reload-dir = []", "reload-dir in [tool.roll] is []: give some, with commas"),
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
    assert refusal() == "[tool.roll] of pyproject.toml is no table"
    Path("pyproject.toml").write_text("tool = 1\n")
    assert resolve({}) == Settings()


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


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"uds": "x", "fd": "3"}, "uds and fd are both set: leave out one of them"),
        (
            {"tls_key": "x"},
            "tls-key is set without tls-cert: name the certificate, too",
        ),
        ({"reload": True, "workers": "2"}, "reload and workers are both set: leave"),
        ({"reload": True, "reload_dir": "nowhere"}, "'nowhere', which is no folder"),
        ({"limit_keep_alive": "0"}, "Limits(keep_alive=0.0): give a number above 0"),
        ({"graceful_timeout": "0"}, "Limits(shutdown=0.0): give a number above 0"),
    ],
)
def test_what_does_not_go_together_is_refused(flags, message):
    assert message in refusal(**flags)


def test_what_needs_unix_is_refused_elsewhere(monkeypatch):
    monkeypatch.delattr(os, "fork")
    assert refusal(workers="2").startswith("reload and workers need Unix: use")
    assert refusal(reload=True).startswith("reload and workers need Unix: use")
    assert resolve({"workers": "1"}).workers == 1


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
    settings = resolve({})
    assert (settings.port, settings.host) == (2, "::1")
    assert (os.environ["SHOP_DSN"], os.environ["EMPTY"]) == ("a b", "")


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
    assert "did you mean 'ROLL_PORT'?" in refusal(env_file="local.env")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "the env file local.env cannot be read: "),
        (b"\xff", "the env file local.env cannot be read: "),
        (b"A=1\nnothing\n", "line 2 of the env file local.env is no NAME=value"),
        (b"A='1\n", "line 1 of the env file local.env is no NAME=value"),
    ],
)
def test_an_env_file_that_cannot_be_read_is_refused(content, message):
    if content is not None:
        Path("local.env").write_bytes(content)
    assert refusal(env_file="local.env").startswith(message)
