"""Basic authentication (RFC 7617) by a decorator between route and view."""

import base64
import binascii
import functools
import secrets

from roll import HttpError, Roll

app = Roll()
app["passwords"] = {"tim": "drowssap"}


def auth_required(view):
    """Let only those in who know the password of a user of the app."""

    @functools.wraps(view)
    async def wrapper(request, response, *args, **kwargs):
        user, password = read_credentials(request.headers.get("Authorization", ""))
        expected = request.app["passwords"].get(user, "")
        # Compared in constant time, and for unknown users, too: the response takes as
        # long whatever is wrong.
        right = secrets.compare_digest(password.encode(), expected.encode())
        if not (expected and right):
            response.headers["WWW-Authenticate"] = 'Basic realm="Roll"'
            raise HttpError(401)
        request["user"] = user
        await view(request, response, *args, **kwargs)

    return wrapper


def read_credentials(header):
    """Read `Basic <base64 of user:password>`; empty strings for anything else."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    user, _, password = text.partition(":")
    return user, password


@app.route("/secret/{topic}")
@auth_required
async def secret(request, response, topic):
    response.body = f"{request['user']} may know about {topic}"
