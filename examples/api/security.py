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
    """Answer 401 where a route needs a scheme, and the request fits none."""
    owners = {
        "key": {digest(key): "staff" for key in keys},
        "token": {digest(token): name for token, name in tokens.items()},
    }

    @app.listen("headers")
    async def require_credentials(request, response):
        # Where a route has forgotten its `security=`, any of them will do.
        schemes = (request.route.payload or {}).get("security", [*SCHEMES])
        if not schemes or not request.endpoint.found:  # 404 and 405 have no route
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
