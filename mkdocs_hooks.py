"""What mkdocs calls while it builds the documentation.

It puts the table of all packages on a page: its rows are those of README.md, so that a
package stands in one table alone. It shows an example where a page names its file. It
adds the generated reference of each package to the navigation. And it warns of pages
that would make a browser ask another host.
"""

import logging
import re
from pathlib import Path

logger = logging.getLogger("mkdocs.roll")  # with --strict, a warning ends the build
ROOT = Path(__file__).parent
ROW = r"^\| \[packages/([\w-]+)\].* \| (.+) \|$"
MARK = "<!-- the table of packages -->"
EXAMPLE = r"^```py\n# (examples/[\w/]+\.py)\n```$"
FOREIGN = r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//[^>]*>
    |<link\b[^>]*\brel=(?!["']?canonical)[^>]*\bhref=["']?(?:https?:)?//[^>]*>"""


def on_config(config: dict) -> None:
    """Add the reference of each package to the navigation; called once."""
    (reference,) = (part["Reference"] for part in config["nav"] if "Reference" in part)
    reference[-1]["From the code"] += [
        {page.stem: f"reference/api/{page.name}"}
        for page in sorted(ROOT.glob("docs/reference/api/roll-*.md"))
    ]


def on_page_markdown(markdown: str, **page: object) -> str:
    """Put in what a page has a mark for; mkdocs calls this for each page."""
    if MARK in markdown:
        markdown = markdown.replace(MARK, table())
    return re.sub(EXAMPLE, show, markdown, flags=re.MULTILINE)


def show(named: re.Match[str]) -> str:
    """Write a block of code with the content of a file."""
    return f"```python\n{(ROOT / named[1]).read_text()}```"


def on_post_page(output: str, page: object, **rest: object) -> str:
    """Warn of what a browser would load from another host; called for each page."""
    for tag in re.findall(FOREIGN, output, re.VERBOSE):
        logger.warning("%s asks another host: %s", page, tag)
    return output


def table() -> str:
    """Write the table: distribution, import package, and what it gives."""
    rows = ["| distribution | import | gives |", "| --- | --- | --- |"]
    readme = (ROOT / "README.md").read_text()
    for name, gives in re.findall(ROW, readme, re.MULTILINE):
        modules = [path.parent for path in ROOT.glob(f"packages/{name}/src/*/py.typed")]
        module = f"`{modules[0].name}`" if modules else "none"
        rows.append(f"| `{name}` | {module} | {gives} |")
    return "\n".join(rows)
