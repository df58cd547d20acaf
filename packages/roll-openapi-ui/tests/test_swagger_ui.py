"""The files are those of the npm package, with their licenses."""

import hashlib

import pytest
from roll_openapi_ui import FOLDER, VERSION

SUMS = dict(
    reversed(line.split("  "))
    for line in (FOLDER / "SHA256SUMS").read_text().splitlines()
)


def test_every_file_has_a_hash():
    found = {path.name for path in FOLDER.iterdir()} - {"SHA256SUMS"}
    assert SUMS.keys() == found
    assert {"swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"} < found


@pytest.mark.parametrize("name", SUMS)
def test_a_file_has_the_hash_that_was_written_when_it_was_fetched(name):
    content = (FOLDER / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == SUMS[name]


def test_the_bundle_is_of_the_version():
    bundle = (FOLDER / "swagger-ui-bundle.js").read_text()
    assert f'PACKAGE_VERSION:"{VERSION}"' in bundle


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("LICENSE", "Apache License"),
        ("NOTICE", "SmartBear Software"),
        ("swagger-ui-bundle.js.LICENSE.txt", "DOMPurify"),
    ],
)
def test_the_licenses_are_there(name, title):
    assert title in (FOLDER / name).read_text()
