"""`roll new`: begin a package from templates."""

import builtins
import keyword
import re
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
"""Characters of a name, so that the lines of the templates are short enough."""

RESERVED = {
    *("app", "client", "error", "hookimpl", "pytest", "request", "response", "roll"),
    *(
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

TEMPLATES = files("roll_server") / "templates" / "extension"
# What is written, and the template that it is made from. Their names say that they
# are templates, so that no tool takes one for what it will be.
FILES = {
    "pyproject.toml": "pyproject.template",
    "README.md": "readme.template",
    "CHANGELOG.md": "changelog.template",
    "LICENSE": "license.template",
    ".gitignore": "gitignore.template",
    ".github/workflows/tests.yml": "workflow.template",
    "src/$module/__init__.py": "module.template",
    "src/$module/py.typed": "typed.template",
    "tests/test_$name.py": "tests.template",
}


@click.group()
def new() -> None:
    """Begin something new, from templates."""


@new.command()
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    show_default=True,
    help="Where to make the folder of the package.",
)
def extension(name: str, directory: Path) -> None:
    """Write the package of an extension, such as roll-teleport for `teleport`."""
    check_name(name)
    words = name_words(name)
    target = directory / words["distribution"]
    try:
        written = write(target, words)
    except OSError as error:
        raise click.ClickException(f"cannot write {target}: {error}") from error
    click.echo(f"Wrote {target}:")
    for path in written:
        click.echo(f"  {path}")
    click.echo(
        "\nNext, in an environment of its own:\n"
        f"  cd {shlex.quote(str(target))}\n"
        "  python -m pip install --editable . --group tests\n"
        "  python -m pytest\n"
        f"Then say in src/{words['module']}/__init__.py what it does, and in "
        "pyproject.toml\nand LICENSE who you are."
    )


def check_name(name: str) -> None:
    """Refuse a name that no extension can have, or that one has already.

    Raises:
        click.BadParameter: The message says which name would do.
    """
    if not NAME.fullmatch(name):
        raise _refuse(
            f"{name!r}: begin with a letter, and take lower-case ASCII letters, digits "
            "and single dashes, such as 'rate-limit'"
        )
    if re.match("roll[-_]", name):
        raise _refuse(f"{name!r}: leave out `roll-`, it is put before the name")
    if name.startswith("test"):
        raise _refuse(f"{name!r}: pytest would take a function of this name for a test")
    if len(name) > LONGEST:
        raise _refuse(f"{name!r} is long: take {LONGEST} characters at most")
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
            f"the installed package {owner} gives an extension {name!r}: take another "
            "name, or uninstall it"
        )
    if _is_installed(distribution) or find_spec(words["module"]):
        raise _refuse(
            f"{distribution} is installed already: take another name, or uninstall it"
        )


def _refuse(message: str) -> click.BadParameter:
    return click.BadParameter(message, param_hint="NAME")


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def name_words(name: str) -> dict[str, str]:
    """Map what stands in the templates to what is written there."""
    dashed, name = name.replace("_", "-"), name.replace("-", "_")
    return {
        "name": name,
        "entry": dashed,
        "distribution": f"roll-{dashed}",
        "module": f"roll_{name}",
        "title": "".join(word.capitalize() for word in name.split("_")),
        "field": "-".join(word.capitalize() for word in name.split("_")),
        "core": _range("roll-core"),
    }


def _range(distribution: str) -> str:
    """Accept the installed version and later ones, up to the next major one."""
    major, minor = metadata.version(distribution).split(".")[:2]
    return f"{distribution}>={major}.{minor},<{int(major) + 1}"


def write(target: Path, words: dict[str, str]) -> list[str]:
    """Write a package into a folder, which is made, and return what was written.

    Raises:
        click.ClickException: The folder has something in it.
        OSError: It cannot be written.
    """
    target.mkdir(parents=True, exist_ok=True)
    if any(target.iterdir()):
        raise click.ClickException(
            f"{target} is not empty: move it away, or name another --directory"
        )
    written = []
    for path, template in FILES.items():
        name = Template(path).substitute(words)
        text = Template((TEMPLATES / template).read_text("utf-8")).substitute(words)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text, "utf-8")
        written.append(name)
    return written
