"""The files of Swagger UI, which roll-openapi serves."""

from pathlib import Path

__all__ = ["FOLDER", "VERSION"]

VERSION = "5.35.0"
"""The version of the npm package `swagger-ui-dist` that the files are from."""

FOLDER = Path(__file__).parent / "swagger_ui"
"""The folder of the files."""
