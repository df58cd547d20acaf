"""What `make serve` runs: a page that shows what is running, and things to try.

Each view does one thing that most applications need. The page lists the views with
their docstrings; nothing on it needs JavaScript but the JSON that a browser sends.
"""

import asyncio
import hashlib
import platform
import time
from html import escape
from importlib import metadata
from pathlib import Path
from string import Template
from urllib.parse import quote

from roll import HttpError, Roll, content_disposition

PAGE = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
LINE = b"Roll: async, simple, fast; pick three.".ljust(63) + b"\n"
BLOCK = LINE * 1024  # 64 KiB

# Read once: looking for installed packages means listing directories.
INSTALLED = ", ".join(
    sorted(
        f"{package.name} {package.version}"
        for package in metadata.distributions()
        if package.name == "roll" or package.name.startswith("roll-")
    )
)

app = Roll()


@app.listen("startup")
async def start_counting():
    app["started"] = time.monotonic()
    app["requests"] = 0


# `headers` comes first, and for every request: for those that end as a 404, too.
@app.listen("headers")
async def count_request(request, response):
    app["requests"] += 1


def describe():
    """Say what is running, by name."""
    return {
        "Python": platform.python_version(),
        "Roll": metadata.version("roll-core"),
        "Event loop": type(asyncio.get_running_loop()).__module__.partition(".")[0],
        "Running for": f"{time.monotonic() - app['started']:.1f} s",
        "Requests": app["requests"],
        "Open connections": len(app.connections),
        "Installed": INSTALLED,
    }


def show(response, answer=""):
    """Make the page the response; *answer* is HTML that goes on top of it."""
    facts = "".join(
        f'<div class="fact"><dt>{name}</dt><dd>{escape(str(value))}</dd></div>'
        for name, value in describe().items()
    )
    routes = "".join(
        f"<tr><td>{', '.join(route.methods)}</td><td><code>{route.path}</code></td>"
        f"<td>{escape(route.view.__doc__)}</td></tr>"
        for route in app.declarations
    )
    # Roll adds no type to a body of ours, and browsers guess without one.
    response.headers["Content-Type"] = "text/html; charset=utf-8"
    response.body = PAGE.substitute(facts=facts, routes=routes, answer=answer)


def table(caption, names, rows):
    """Write a table; all that comes from a client is escaped here."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return (
        f'<section id="answer"><h2>{escape(caption)}</h2><div class="wide"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>"
    )


@app.route("/")
async def home(request, response):
    """Show this page."""
    show(response)


@app.route("/hello")
async def find_hello(request, response):
    """Redirect to the hello of ?name=."""
    name = request.query.get("name")  # 400 without it
    response.redirect = f"/hello/{quote(name, safe='')}", 302


@app.route("/hello/{name}")
async def hello(request, response, name):
    """Say hello to a part of the path."""
    # As text: as HTML, a name could be a script.
    response.headers["Content-Type"] = "text/plain; charset=utf-8"
    response.body = f"Hello {name}"


@app.route("/form", methods=["POST"])
async def form(request, response):
    """Show the fields of a form, escaped."""
    rows = [(name, ", ".join(values)) for name, values in request.form.items()]
    show(response, table("The form had these fields", ["Name", "Value"], rows))


@app.route("/upload", methods=["POST"])
async def upload(request, response):
    """Show the files of a form of up to 1 MiB, loaded before the view runs."""
    show(response, await list_files(request.files))


@app.route("/upload/large", methods=["POST"], lazy_body=True)
async def upload_large(request, response):
    """Show the files of a form of up to 32 MiB, parsed while it comes in."""
    await request.load_form()
    show(response, await list_files(request.files))


async def list_files(files):
    # A browser sends a file without a name and content where none was chosen.
    chosen = [file for several in files.values() for file in several if file.filename]
    rows = [await asyncio.to_thread(describe_file, file) for file in chosen]
    names = ["Name", "Type", "Bytes", "SHA-256"]
    return table("These files came", names, rows)


def describe_file(file):
    """Read a file, maybe from disk: not a thing to do in the event loop."""
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    return file.filename, file.content_type, file.tell(), digest


@app.route("/api")
async def tell(request, response):
    """Say in JSON what is running."""
    response.json = describe()


@app.route("/api", methods=["POST"])
async def echo(request, response):
    """Repeat {"text": "...", "times": 1 to 10}, sent as JSON."""
    match request.json:  # 400 when it is not JSON
        case {"text": str(text), "times": int(times)} if 1 <= times <= 10:
            response.json = {"echo": [text] * times}
        case _:
            raise HttpError(400, 'Send {"text": "...", "times": 1 to 10}')


@app.route("/download")
async def download(request, response):
    """Send ?mib=10, made while it is sent, in ?seconds=0."""
    mib = request.query.int("mib", 10)
    seconds = request.query.float("seconds", 0)
    if not (1 <= mib <= 100 and 0 <= seconds <= 60):
        raise HttpError(400, "From 1 to 100 'mib' in 0 to 60 'seconds'")
    response.headers["Content-Type"] = "text/plain; charset=utf-8"
    response.headers["Content-Disposition"] = content_disposition(f"roll-{mib}.txt")
    response.body = blocks(mib * 16, seconds)


async def blocks(count, seconds):
    """Make blocks of 64 KiB; the next one is asked for when there is room to send."""
    for _ in range(count):
        yield BLOCK
        # Also with 0 seconds: it lets other requests continue.
        await asyncio.sleep(seconds / count)
