"""`roll new`: start a package from templates."""

import builtins
import keyword
import re
import secrets
import shlex
from importlib import metadata
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

import click
from roll import extensions
from roll.extensions import DISTRIBUTIONS

NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*", re.ASCII)
LONGEST = 30
"""The most characters of a name, to keep the lines of the templates short enough."""

RESERVED = {
    *("app", "client", "error", "hookimpl", "pytest", "request", "response", "roll"),
    *(
        "contract",
        "core",
        "gunicorn",
        "plugins",
        "roll_extensions",
        "testing",
        "value",
        "websockets",
    ),
}
"""Names that the templates use, or that distributions of Roll have."""

RESERVED_MODULES = {"app", "client"}
"""Names that the tests of an application use."""

FOLDER = files("roll_server") / "templates"

# The files to write, and their templates. The suffix keeps tools from taking a template
# for the file that it becomes.
EXTENSION = {
    "pyproject.toml": "extension/pyproject.template",
    "README.md": "extension/readme.template",
    "CHANGELOG.md": "extension/changelog.template",
    "LICENSE": "extension/license.template",
    ".gitignore": "gitignore.template",
    ".github/workflows/tests.yml": "extension/workflow.template",
    "src/$module/__init__.py": "extension/module.template",
    "src/$module/py.typed": "extension/typed.template",
    "tests/test_$name.py": "extension/tests.template",
}
APP = {
    "pyproject.toml": "app/pyproject.template",
    "README.md": "app/readme.template",
    ".gitignore": "gitignore.template",
    "$name/__init__.py": "app/module.template",
    "tests/test_$name.py": "app/tests.template",
}
FULL = {
    "pyproject.toml": "full/pyproject.template",
    "README.md": "full/readme.template",
    ".env": "full/environment.template",
    ".gitignore": "gitignore.template",
    "$name/__init__.py": "full/module.template",
    "$name/visitors.py": "full/visitors.template",
    "$name/api.py": "full/api.template",
    "$name/templates/base.html": "full/base.template",
    "$name/templates/home.html": "full/home.template",
    "$name/templates/error.html": "full/error.template",
    "$name/static/style.css": "full/style.template",
    "tests/conftest.py": "full/conftest.template",
    "tests/test_visitors.py": "full/test_visitors.template",
    "tests/test_api.py": "full/test_api.template",
}


@click.group()
def new() -> None:
    """Begin something new, from templates."""


_directory = click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    show_default=True,
    help="Where to make the folder of it.",
)


@new.command()
@click.argument("name")
@_directory
@click.option("--full", is_flag=True, help="With sessions, pages and a style.")
def app(name: str, directory: Path, full: bool) -> None:
    """Write an application, NAME, that `roll run` serves."""
    check_app_name(name)
    words = name_words(name) | {"secret": secrets.token_urlsafe(32)}
    target = directory / words["entry"]
    _begin(target, words, FULL if full else APP)
    click.echo(f"  roll run --reload\nThen write your views in {words['name']}/.")


@new.command()
@click.argument("name")
@_directory
def extension(name: str, directory: Path) -> None:
    """Write the package of an extension, such as roll-teleport for `teleport`."""
    check_name(name)
    words = name_words(name)
    target = directory / words["distribution"]
    _begin(target, words, EXTENSION)
    click.echo(
        f"Then write your extension in src/{words['module']}/__init__.py, and your\n"
        "name in pyproject.toml and LICENSE."
    )


def _begin(target: Path, words: dict[str, str], templates: dict[str, str]) -> None:
    """Write templates into a folder, and print what to do there."""
    try:
        written = write(target, words, templates)
    except OSError as error:
        raise click.ClickException(f"cannot write {target}: {error}") from error
    click.echo(f"Wrote {target}:")
    for path in written:
        click.echo(f"  {path}")
    click.echo(
        "\nNext, in an environment of its own:\n"
        f"  cd {shlex.quote(str(target))}\n"
        '  python -m pip install --editable ".[tests]"\n'
        "  python -m pytest"
    )


def check_app_name(name: str) -> None:
    """Refuse a name that is not valid for an application, or would hide a module.

    Raises:
        click.BadParameter: The message says which names are valid.
    """
    _check_form(name)
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or module in RESERVED_MODULES or find_spec(module):
        raise _refuse(f"{name!r} is the name of a module already: take another name")


def check_name(name: str) -> None:
    """Refuse a name that is not valid for an extension, or is taken.

    Raises:
        click.BadParameter: The message says which names are valid.
    """
    _check_form(name)
    if re.match("roll[-_]", name):
        raise _refuse(f"{name!r}: leave out `roll-`, it is put before the name")
    words = name_words(name)
    name, distribution = words["name"], words["distribution"]
    if keyword.iskeyword(name) or hasattr(builtins, name) or name in RESERVED:
        raise _refuse(f"{name!r} means something else already: take another name")
    if name in DISTRIBUTIONS or distribution in DISTRIBUTIONS.values():
        owner = DISTRIBUTIONS.get(name, distribution)
        raise _refuse(
            f"{name!r} is taken by {owner}: take another name, or pip install {owner}"
        )
    if name in dir(extensions):
        owner = getattr(extensions, name).__module__.partition(".")[0]
        raise _refuse(
            f"the installed package {owner} provides an extension {name!r}: take "
            "another name, or uninstall it"
        )
    if _is_installed(distribution) or find_spec(words["module"]):
        raise _refuse(
            f"{distribution} is installed already: take another name, or uninstall it"
        )


def _check_form(name: str) -> None:
    if not NAME.fullmatch(name):
        raise _refuse(
            f"{name!r}: begin with a letter, and take lower-case ASCII letters, digits "
            "and single dashes, such as 'rate-limit'"
        )
    if name.startswith("test"):
        raise _refuse(f"{name!r}: pytest would take what has this name for a test")
    if len(name) > LONGEST:
        raise _refuse(f"{name!r} is long: take {LONGEST} characters at most")


def _refuse(message: str) -> click.BadParameter:
    return click.BadParameter(message, param_hint="NAME")


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def name_words(name: str) -> dict[str, str]:
    """Give the values for the placeholders of the templates."""
    dashed, name = name.replace("_", "-"), name.replace("-", "_")
    return {
        "name": name,
        "entry": dashed,
        "distribution": f"roll-{dashed}",
        "module": f"roll_{name}",
        "title": "".join(word.capitalize() for word in name.split("_")),
        "field": "-".join(word.capitalize() for word in name.split("_")),
        "core": _range("roll-core"),
        "server": _range("roll-server"),
    }


def _range(distribution: str) -> str:
    """Accept the installed version and later ones, up to the next major one."""
    major, minor = metadata.version(distribution).split(".")[:2]
    return f"{distribution}>={major}.{minor},<{int(major) + 1}"


def write(target: Path, words: dict[str, str], templates: dict[str, str]) -> list[str]:
    """Make a folder, write templates into it, and return the paths of the files.

    Raises:
        click.ClickException: The folder is not empty.
        OSError: It cannot be written.
    """
    target.mkdir(parents=True, exist_ok=True)
    if any(target.iterdir()):
        raise click.ClickException(
            f"{target} is not empty: move it away, or name another --directory"
        )
    written = []
    for path, template in templates.items():
        name = Template(path).substitute(words)
        text = Template((FOLDER / template).read_text("utf-8")).substitute(words)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text, "utf-8")
        written.append(name)
    return written
