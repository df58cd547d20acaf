"""`roll_testing.ExtensionContract`: the older place of what roll-contract has."""

import subprocess
import sys

import pytest
import roll_contract
import roll_testing

MISSING = "contract of extensions is not installed. Run: pip install roll-contract$"


def test_it_is_the_contract_of_roll_contract():
    assert roll_testing.ExtensionContract is roll_contract.ExtensionContract


def test_without_roll_contract_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "roll_contract", None)  # as if not installed
    with pytest.raises(ImportError, match=MISSING):
        from roll_testing import ExtensionContract  # noqa: F401


def test_without_roll_contract_the_other_names_are_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "roll_contract", None)
    names = {}
    exec("from roll_testing import *", names)
    assert names["Client"] is roll_testing.Client


def test_the_module_has_no_other_names():
    with pytest.raises(AttributeError, match="'roll_testing' has no attribute 'Other'"):
        roll_testing.Other  # noqa: B018


def test_the_plugin_of_pytest_loads_neither_roll_nor_the_contract():
    code = (
        "import sys, roll_testing.plugin\n"
        "print({'roll', 'roll_contract'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
