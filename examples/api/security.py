"""Who may do what: the schemes that the document names, and the listener that asks."""

import hashlib

from roll import HttpError

SCHEMES = {
    "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
    "token": {"type": "http", "scheme": "bearer"},
}
CHALLENGES = {"key": "ApiKey", "token": "Bearer"}


def digest(secret):
    """Hash a secret: how long it takes to look up the hash tells nothing of it."""
    return hashlib.sha256(secret.encode()).digest()


def authenticate(app, keys, tokens):
    """Answer 401 where a route's `security=` names schemes, and none of them fits."""
    owners = {
        "key": {digest(key): "staff" for key in keys},
        "token": {digest(token): name for token, name in tokens.items()},
    }

    @app.listen("headers")
    async def require_credentials(request, response):
        schemes = (request.route.payload or {}).get("security")
        if not schemes:
            return
        for scheme in schemes:
            if user := owners[scheme].get(digest(sent(request, scheme))):
                request["user"] = user
                return
        challenge = ", ".join(CHALLENGES[scheme] for scheme in schemes)
        raise HttpError(401, headers={"WWW-Authenticate": challenge})


def sent(request, scheme):
    if scheme == "key":
        return request.headers.get("X-Key", "")
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if kind.lower() == "bearer" else ""
