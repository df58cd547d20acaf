"""Figures of how roll-core is built: what makes it easy, or hard, to read.

`python -m tests.figures` prints those of this checkout, `python -m tests.figures OTHER`
those of another one beside them. test_figures.py holds the bounds.
"""

import ast
import io
import json
import os
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent

# A GET with a query and a cookie, through a transport in memory.
JOURNEY = """
import asyncio, json, os, sys
import roll
from roll import Roll

core = os.path.dirname(roll.__file__) + os.sep
files = []

class Transport(asyncio.Transport):
    def write(self, data): pass
    def is_closing(self): return False

def note(frame, event, argument):
    name = frame.f_code.co_filename
    if event == "call" and name.startswith(core) and files[-1:] != [name]:
        files.append(name)

async def main():
    app = Roll()

    @app.route("/")
    async def view(request, response):
        response.json = [request.query.get("a"), request.cookies["b"]]

    protocol = app.factory()
    protocol.connection_made(Transport())
    for _ in range(2):  # what is made once is made before
        files.clear()
        sys.setprofile(note)
        lines = b"GET /?a=1 HTTP/1.1", b"Host: x", b"Cookie: b=2", b"", b""
        protocol.data_received(b"\\r\\n".join(lines))
        for _ in range(3):
            await asyncio.sleep(0)
        sys.setprofile(None)
    print(len(files) - 1)

asyncio.run(main())
"""


def core(root: Path) -> Path:
    return root / "packages" / "roll-core"


def modules(root: Path) -> list[Path]:
    return sorted((core(root) / "src" / "roll").rglob("*.py"))


def trees(root: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in modules(root):
        yield path, ast.parse(path.read_text())


def imports(root: Path) -> dict[str, set[str]]:
    """Map each module to those of the core that it imports, in annotations too."""
    source = core(root) / "src"
    names = {
        ".".join(path.relative_to(source).with_suffix("").parts): path
        for path in modules(root)
    }
    names = {name.removesuffix(".__init__"): path for name, path in names.items()}
    found: dict[str, set[str]] = {}
    for name, path in names.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        found[name] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found[name] |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                parts = [*(above if node.level else []), node.module or ""]
                module = ".".join(part for part in parts if part)
                inner = {f"{module}.{alias.name}" for alias in node.names}
                found[name] |= (inner & names.keys()) or {module}
        found[name] &= names.keys() - {name}
    return found


def largest_circle(root: Path) -> int:
    """Count the modules of the largest circle of imports; 0 without one."""
    graph = imports(root)

    def reach(name: str) -> set[str]:
        seen: set[str] = set()
        waiting = [*graph[name]]
        while waiting:
            other = waiting.pop()
            if other not in seen:
                seen.add(other)
                waiting += graph[other]
        return seen

    reached = {name: reach(name) for name in graph}
    return max(
        sum(name in reached[other] for other in reached[name] | {name})
        if name in reached[name]
        else 0
        for name in graph
    )


def classes(root: Path) -> Iterator[ast.ClassDef]:
    for _, tree in trees(root):
        yield from (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def largest_class(root: Path) -> int:
    """Count the lines of the largest class."""
    return max((node.end_lineno or 0) - node.lineno + 1 for node in classes(root))


def slots(root: Path) -> int:
    """Count the slots of a connection, those of its base classes in the core too."""
    known = {node.name: node for node in classes(root)}

    def count(name: str) -> int:
        if name not in known:
            return 0
        own = 0
        for node in known[name].body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == (
                "__slots__"
            ):
                own = len(ast.literal_eval(node.value))
        return own + sum(count(ast.unparse(base)) for base in known[name].bases)

    return count("HttpProtocol")


def methods(root: Path) -> int:
    """Count the functions in the class Roll."""
    (roll,) = (node for node in classes(root) if node.name == "Roll")
    return sum(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in roll.body
    )


def journey(root: Path) -> int:
    """Count the changes of file on the way of one GET."""
    environment = {**os.environ, "PYTHONPATH": str(core(root) / "src")}
    command = [sys.executable, "-c", JOURNEY]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def private_names(root: Path) -> set[str]:
    """Name what tests of the core use of its private names."""
    defined: set[str] = set()
    for _, tree in trees(root):
        for node in ast.walk(tree):
            if isinstance(node, ast.Name | ast.Attribute):
                name = node.id if isinstance(node, ast.Name) else node.attr
                if isinstance(node.ctx, ast.Store):
                    defined.add(name)
            elif isinstance(
                node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
            ):
                defined.add(node.name)
    private = {
        name for name in defined if name.startswith("_") and not name.endswith("__")
    }
    used: set[str] = set()
    for path in (core(root) / "tests").rglob("*.py"):
        tree = ast.parse(path.read_text())
        own = {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) != "self":
                used.add(node.attr)
            elif isinstance(node, ast.ImportFrom):
                used |= {alias.name for alias in node.names}
        used -= own
    return used & private


def lines_of_code(root: Path) -> int:
    """Count the lines of the core that hold code: no blanks, comments, docstrings."""
    total = 0
    for path, tree in trees(root):
        text = path.read_text()
        lines = {
            line
            for token in tokenize.generate_tokens(io.StringIO(text).readline)
            if token.type
            not in {
                *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT),
                *(tokenize.DEDENT, tokenize.ENDMARKER),
            }
            for line in range(token.start[0], token.end[0] + 1)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                lines -= {*range(node.lineno, (node.end_lineno or 0) + 1)}
        total += len(lines)
    return total


FIGURES = {
    "modules in the largest circle of imports": (largest_circle, 0),
    "slots of a connection": (slots, 20),
    "lines of the largest class": (largest_class, 350),
    "methods of Roll": (methods, 28),
    "changes of file on the way of one GET": (journey, 13),
    "private names in the tests of roll-core": (
        lambda root: len(private_names(root)),
        9,
    ),
    "lines of code of roll-core": (lines_of_code, 4300),
}
"""The figures by what they are, with the most that each may be."""


def main() -> None:
    roots = [*map(Path, sys.argv[1:]), ROOT]
    table = {
        title: [count(root) for root in roots] + [most]
        for title, (count, most) in FIGURES.items()
    }
    for title, (*found, most) in table.items():
        print(f"{title:45}", *(f"{number:7,}" for number in found), f"  most {most:,}")
    print(json.dumps(sorted(private_names(ROOT))))


if __name__ == "__main__":
    main()
