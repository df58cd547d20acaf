"""The table of all packages on a page of the documentation, as mkdocs builds it.

Its rows are those of README.md, so that a package stands in one table alone.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parent
ROW = r"^\| \[packages/([\w-]+)\].* \| (.+) \|$"
MARK = "<!-- the table of packages -->"


def on_page_markdown(markdown: str, **page: object) -> str:
    """Put the table where a page has the mark; mkdocs calls this for each page."""
    return markdown.replace(MARK, table()) if MARK in markdown else markdown


def table() -> str:
    """Write the table: distribution, import package, and what it gives."""
    rows = ["| distribution | import | gives |", "| --- | --- | --- |"]
    readme = (ROOT / "README.md").read_text()
    for name, gives in re.findall(ROW, readme, re.MULTILINE):
        modules = [path.parent for path in ROOT.glob(f"packages/{name}/src/*/py.typed")]
        module = f"`{modules[0].name}`" if modules else "none"
        rows.append(f"| `{name}` | {module} | {gives} |")
    return "\n".join(rows)
