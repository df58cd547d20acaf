"""Every installed extension keeps the contract of extensions, those of others too."""

import re
from importlib import metadata

import pytest
from roll import Roll, plugins
from roll.extensions import DISTRIBUTIONS
from roll_contract import ExtensionContract

MSGSPEC = ["msgspec", "typing_extensions"]

# What a contract is told of an extension, beside the function.
SETTINGS = {
    # Each is given an application, which is not called.
    "mount_asgi": {"options": {"prefix": "/a", "application": Roll, "lifespan": False}},
    "mount_wsgi": {"options": {"prefix": "/a", "application": Roll}},
    "content_negociation": {"imports": ["mimetype_match", "six"]},
    "content_negotiation": {"imports": ["mimetype_match", "six"]},
    # Another app each time: none is mounted twice.
    "mount": {"options": property(lambda test: {"prefix": "/a", "subapp": Roll()})},
    "openapi": {"options": {"title": "T", "ui": None}, "imports": MSGSPEC},
    "problems": {"imports": MSGSPEC},
    "session": {"options": {"secret": "a key of 32 bytes, for the tests"}},
    "simple_server": {"serves": True},
    "websockets_store": {"imports": ["websockets"]},
}


def test_there_are_extensions_to_test():
    assert {"proxy_headers", "simple_server"} <= set(plugins.extensions())


def is_installed(distribution):
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


@pytest.mark.parametrize(("name", "distribution"), [*DISTRIBUTIONS.items()])
def test_an_installed_distribution_gives_its_extensions(name, distribution):
    # So that none is left untested because it gives nothing.
    assert (name in plugins.extensions()) == is_installed(distribution)


@pytest.mark.parametrize("wrong", ["https://a", Roll])
@pytest.mark.parametrize("name", sorted({*plugins.extensions()} & {*DISTRIBUTIONS}))
def test_an_extension_that_is_called_without_an_app_shows_the_call(name, wrong):
    extension = plugins.extensions()[name]
    called = re.escape(f"{extension.__name__}({wrong!r}): give ")
    options = SETTINGS.get(name, {}).get("options", {})
    required = options if name == "openapi" else {}
    with pytest.raises(TypeError, match=f"^{called}(the app first, as in|an app)"):
        extension(wrong, **required)


for name, extension in plugins.extensions().items():
    # A class for each, as a package has: TestContractOf_cors::test_...
    attributes = {
        "extension": staticmethod(extension),
        "distribution": DISTRIBUTIONS.get(name),
        **SETTINGS.get(name, {}),
    }
    title = f"TestContractOf_{name}"
    globals()[title] = type(title, (ExtensionContract,), attributes)
