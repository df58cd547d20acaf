"""The pages that show a document."""

from roll import Roll


def routes(app: Roll, *, title: str, path: str, document: str) -> None:
    """Declare the routes of the pages.

    Args:
        app: The application.
        title: Of the API.
        path: Of the page.
        document: The path of the document that it shows.

    Raises:
        ValueError: roll-openapi-ui is not installed.
    """
    try:
        import roll_openapi_ui  # noqa: F401
    except ImportError:
        raise ValueError(
            f"ui={path!r}: the pages are not installed. Run: pip install "
            "'roll-openapi[ui]', or say ui=None"
        ) from None
