"""Tests that every extension passes once it is installed; see contract.py."""

import importlib
import importlib.util
import inspect
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Mapping
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NoReturn, cast

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from roll import extensions
from roll.typing import Extension

GROUP = "roll.plugins"
"""The entry points that lead Roll to a package."""

SECONDS = 2.0
"""How long an import may take: many times as long as one without heavy libraries."""

POSITIONAL_ONLY = inspect.Parameter.POSITIONAL_ONLY
KEYWORD_ONLY = inspect.Parameter.KEYWORD_ONLY
VAR_KEYWORD = inspect.Parameter.VAR_KEYWORD
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, VAR_KEYWORD)


class InstalledContract:
    """The part of `ExtensionContract` for which the extension is not called."""

    extension: ClassVar[Extension]
    """The function, as a `staticmethod`."""
    distribution: ClassVar[str | None] = None
    """The distribution, such as `roll-teleport`; by default the one that has its
    module."""
    options: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """The options to call it with, besides the app."""
    imports: ClassVar[Collection[str]] = ()
    """Third-party modules, besides those of roll-core, that importing it may load."""
    serves: ClassVar[bool] = False
    """Whether a call blocks, as a server's does; then it is not called."""

    # What is installed

    def test_it_takes_an_app_and_options(self) -> None:
        """The first parameter is the app, the others are options, given by name."""
        parameters = [*inspect.signature(self._extension).parameters.values()]
        if not parameters or parameters[0].kind in (KEYWORD_ONLY, VAR_KEYWORD):
            fail(f"{self._name} takes no app: make it the first parameter")
        options = [one for one in parameters[1:] if one.kind not in VARIADIC]
        for option in options:
            if option.kind is POSITIONAL_ONLY:
                fail(f"{option.name} of {self._name} has no name: drop the slash")
            if option.default is option.empty and option.name not in self.options:
                fail(
                    f"{option.name} of {self._name} has no default: give it one, or "
                    "name a value in `options` of the test if none would make sense"
                )

    def test_it_is_found_by_its_name(self) -> None:
        """`from roll.extensions import name` gives it, through its entry point."""
        self._entry_point()
        given = [
            name
            for name in dir(extensions)
            if getattr(extensions, name) is self._extension
        ]
        if not given:
            fail(
                f"roll.extensions has no {self._name}: write `@hookimpl def "
                f'roll_extensions(): return {{"{self._name}": {self._name}}}` in '
                f"{self._module}"
            )
        if self._name not in given:
            fail(
                f"`roll_extensions` gives {self._name} the name {given[0]!r}: give "
                "the function and its key in the hook the same name"
            )

    def test_it_asks_for_a_range_of_roll_core(self) -> None:
        """It runs with the versions of roll-core that it was made for, and no other."""
        needs = map(Requirement, self._distribution().requires or ())
        found = [
            need.specifier
            for need in needs
            if canonicalize_name(need.name) == "roll-core"
            and "extra ==" not in str(need.marker)  # asked for by everyone
        ]
        if not found:
            fail('it does not ask for roll-core: add "roll-core>=1.0,<2" to it')
        for versions in found:
            if not _is_range(versions):
                fail(
                    f"it asks for roll-core{versions}: ask for a range, such as "
                    '"roll-core>=1.0,<2", which has an end, and more than one version'
                )

    def test_it_says_which_pythons_it_runs_on(self) -> None:
        """`requires-python` is declared, has a start, and includes this Python."""
        fields = self._distribution().metadata
        declared = "Requires-Python" in fields and fields["Requires-Python"]
        pythons = SpecifierSet(declared or "")
        if not any(one.operator in (">=", ">", "~=") for one in pythons):
            fail('it runs on any Python: write requires-python = ">=3.11"')
        this = ".".join(map(str, sys.version_info[:3]))
        if not pythons.contains(this):
            fail(f"requires-python = {str(pythons)!r} leaves out this Python, {this}")

    def test_it_is_marked_as_typed(self) -> None:
        """The package has `py.typed`; without it, type checkers ignore its types."""
        package = importlib.import_module(self._package)
        if not hasattr(package, "__path__"):
            fail(f"{self._package} is one file: make it a package, with py.typed")
        if not files(package).joinpath("py.typed").is_file():
            fail(f"{self._package} has no py.typed: add the empty file")

    def test_its_types_check(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        """An application that calls it passes `mypy --strict`."""
        # Authors may check types with another tool. Our own packages are tested with
        # mypy installed: roll-contract's and roll-server's groups `tests` name it.
        if importlib.util.find_spec("mypy") is None:
            pytest.skip("mypy is not installed: pip install mypy")
        folder = tmp_path_factory.mktemp("types")
        page = folder / "application.py"
        options = "".join(f", {name}=option" for name in self.options)
        page.write_text(
            "from typing import Any\nfrom roll import Roll\n"
            f"from {self._extension.__module__} import {self._name}\n"
            f"option: Any = None\n{self._name}(Roll(){options})\n"
        )
        # One cache for all extensions that are tested together.
        cache = tmp_path_factory.getbasetemp() / "mypy"
        done = _run(
            *("-m", "mypy", "--strict", "--no-error-summary", "--config-file="),
            *(f"--cache-dir={cache}", str(page)),
            cwd=folder,
        )
        if done.returncode:
            fail(
                f"an application that calls it does not pass mypy --strict:\n"
                f"{page.read_text()}\n{done.stdout}{done.stderr}"
            )

    # What importing and installing it does

    def test_importing_it_does_nothing(self) -> None:
        """The import opens, starts and prints nothing, and takes no time."""
        found, printed = self._probe("imports")
        if printed:
            fail(f"importing {self._module} prints {printed!r}: drop it")
        if found["acts"]:
            acts = "\n- ".join(Counter(found["acts"]))
            fail(
                f"importing {self._module} does more than to define things; do it when "
                f"the extension is called, or at startup:\n- {acts}"
            )
        if found["seconds"] > SECONDS:
            fail(
                f"importing {self._module} takes {found['seconds']:.1f} s: import what "
                "is heavy inside the function that needs it"
            )

    def test_importing_it_loads_no_heavy_library(self) -> None:
        """The import loads nothing from other packages except what `imports` names."""
        found, _ = self._probe("imports")
        if others := set(found["loaded"]) - set(self.imports):
            fail(
                f"importing {self._module} loads {', '.join(sorted(others))}: import "
                "them inside the function that needs them; or name them in `imports` "
                "of the test, if they are light"
            )

    def test_installing_it_changes_no_app(self) -> None:
        """Apps that it was not called with stay as they are without it."""
        found, _ = self._probe("apps")
        if found["changes"]:
            changes = "\n- ".join(found["changes"])
            fail(
                f"apps change when {self._module} is installed or imported; act when "
                f"the extension is called, on the app that it gets:\n- {changes}"
            )

    # What the tests share

    @property
    def _extension(self) -> Extension:
        # Without `staticmethod`, a function would become a method of the test.
        found = inspect.getattr_static(type(self), "extension", None)
        if isinstance(found, staticmethod):
            found = found.__func__
        if not callable(found):
            fail(
                f"{type(self).__name__} tests nothing: write in it "
                "`extension = staticmethod(your_extension)`"
            )
        return cast(Extension, found)

    @property
    def _name(self) -> str:
        name = getattr(self._extension, "__name__", None)
        if name is None:
            fail(f"{self._extension!r} has no name: make the extension a function")
        return str(name)

    @property
    def _package(self) -> str:
        return self._extension.__module__.partition(".")[0]

    @property
    def _module(self) -> str:
        return self._entry_point().module

    def _distribution(self) -> metadata.Distribution:
        found = self._entry_point().dist
        assert found is not None  # an entry point that was found comes from one
        return found

    def _entry_point(self) -> metadata.EntryPoint:
        wanted = self.distribution and canonicalize_name(self.distribution)
        for point in metadata.entry_points(group=GROUP):
            owner = point.dist and canonicalize_name(point.dist.name)
            if wanted in (None, owner) and self._package == _top(point.module):
                return point
        fail(
            f"{self.distribution or 'no distribution'} that is installed has an entry "
            f"point for {self._package}. Write in its pyproject.toml\n"
            f'  [project.entry-points."{GROUP}"]\n'
            f'  {self._name} = "{self._package}"\n'
            "and run: pip install -e ."
        )

    def _probe(self, what: str) -> tuple[dict[str, Any], str]:
        """Run a probe in a new process, and give what it found and printed."""
        done = _run("-B", "-P", "-m", "roll_contract.probe", what, self._module)
        if done.returncode:
            fail(f"{self._module} cannot be imported alone:\n{done.stderr}")
        printed, _, found = done.stdout.rstrip("\n").rpartition("\n")
        return json.loads(found), printed


def _is_range(versions: SpecifierSet) -> bool:
    operators = {one.operator for one in versions}
    if operators & {"==", "==="}:
        return False
    return bool(operators & {">=", ">", "~="} and operators & {"<", "<=", "~="})


def _top(module: str) -> str:
    return module.partition(".")[0]


def _run(
    *arguments: str, cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run Python with the import path of this process."""
    path = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )


def fail(message: str) -> NoReturn:
    """Fail with only a message: a traceback would lead into the contract."""
    pytest.fail(message, pytrace=False)
