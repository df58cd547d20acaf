"""The bytes of requests and responses, as tests write and expect them."""

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST = b"0\r\n\r\n"


def get(path="/", *fields, method="GET", version="1.1"):
    head = [f"{method} {path} HTTP/{version}", "Host: a", *fields, "", ""]
    return "\r\n".join(head).encode()


def post(body, path="/", *fields):
    return get(path, *fields, f"Content-Length: {len(body)}", method="POST") + body


def chunked(*pieces):
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


def post_chunks(*pieces, path="/", fields=()):
    """Write a request with a body in chunks; an empty piece at the end ends it."""
    head = get(path, *fields, "Transfer-Encoding: chunked", method="POST")
    return head + chunked(*pieces)


def expecting(path="/", version="1.1"):
    """Write the head of a request whose body waits for a 100."""
    fields = ["Expect: 100-continue", "Content-Length: 3"]
    return get(path, *fields, method="POST", version=version)


def answer(body=b"ok", *fields):
    lines = [f"Content-Length: {len(body)}", *fields, "", ""]
    return HEAD + "\r\n".join(lines).encode() + body


def answer_chunks(*pieces):
    """Write a response in chunks, without its end."""
    return CHUNKED + chunked(*pieces)


def error(status, *fields, message=None, close=True):
    body = (message or status[4:]).encode()
    head = [
        f"HTTP/1.1 {status}",
        *fields,
        "Content-Type: text/plain; charset=utf-8",
        "X-Content-Type-Options: nosniff",
        f"Content-Length: {len(body)}",
        *(["Connection: close"] if close else []),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


GET = get()
OK = answer()
CLOSED_OK = answer(b"ok", "Connection: close")


def served(response):
    """Write a response whose body has no type as a Server sends it, without `Date`."""
    return response.replace(b"\r\n", b"\r\nX-Content-Type-Options: nosniff\r\n", 1)
