"""Each example can be described: its document is valid OpenAPI 3.1."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

HERE = Path(__file__).parent
NAMES = sorted(path.parent.name for path in HERE.glob("*/__init__.py"))

# In a process of its own, as `openapi` changes the applications.
DESCRIBE = """
import importlib, json, sys
from roll_openapi import document, openapi

found = {}
for name in sys.argv[1:]:
    app = importlib.import_module(f"examples.{name}").app
    if "openapi" not in app:
        openapi(app, title=name)
    found[name] = document(app)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def documents():
    done = subprocess.run(
        [sys.executable, "-c", DESCRIBE, *NAMES],
        cwd=HERE.parent,
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", NAMES)
def test_the_document_of_an_example_is_valid(name, documents):
    OpenAPIV31SpecValidator(documents[name]).validate()


def test_there_are_documents_to_look_at(documents):
    assert sum(bool(each["paths"]) for each in documents.values()) > 10
