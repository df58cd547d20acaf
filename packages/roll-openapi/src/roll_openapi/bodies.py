"""Bodies: a body as a value of a type, as bytes or text, or in pieces."""

from collections.abc import Callable
from functools import cache, partial
from http import HTTPStatus
from math import isinf
from typing import Any

import msgspec
from roll import HttpError, Request

from .annotations import unwrap
from .codecs import UNFIT, find_codec
from .invalid import explain, is_too_deep, make_error
from .markers import Body
from .readers import MISSING, Errors, Read, Values
from .schemas import field_names
from .signature import Parameter, is_stream

JSON = "application/json"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
ANY = "*/*"


def is_raw(parameter: Parameter) -> bool:
    """Whether a body is not decoded further: bytes, text, or pieces."""
    kind = unwrap(parameter.type)
    media = media_type(parameter)
    return is_stream(kind) or kind is bytes or (kind is str and not is_json(media))


def media_type(parameter: Parameter) -> str:
    """Give the media type that a body is documented with."""
    marker = parameter.marker
    if isinstance(marker, Body) and marker.media_type is not None:
        return marker.media_type
    kind = unwrap(parameter.type)
    return ANY if kind is bytes or is_stream(kind) else JSON


def is_json(media: str) -> bool:
    """Whether a media type, in lower case, is JSON, or has the suffix `+json`."""
    return media == JSON or (
        media.startswith("application/") and media.endswith("+json")
    )


def make_body_reader(parameter: Parameter) -> Read:
    """Make the reader of the body.

    Raises:
        TypeError: The type does not go with the media type.
    """
    media = media_type(parameter)
    if is_raw(parameter):
        return _make_raw_reader(parameter, media)
    if not is_json(media):
        raise TypeError(
            f"{parameter.name}: a body of type {media} is bytes, or str: annotate it so"
        )
    return _make_json_reader(parameter)


def _make_json_reader(parameter: Parameter) -> Read:
    name, required = parameter.name, parameter.required
    decode = find_codec(parameter.type).decode(parameter.type)
    find_names = cache(partial(field_names, parameter.type))

    def read(request: Request, values: Values, errors: Errors) -> None:
        body = request.body
        if not body:
            if required:
                errors.append(make_error("body", name, MISSING))
            return
        head = request.head
        if _USUAL not in head and _LOWER not in head:
            sent = get_essence(request.content_type)
            if sent and not is_json(sent):
                raise _unsupported(JSON)
        try:
            if not body.isascii():
                body.decode()  # msgspec does not check what it skips
            values[name] = decode(body)
        except UnicodeDecodeError as error:
            raise _unparsable() from error
        except UNFIT:
            sent = _decode(body)
            try:
                values[name] = decode(msgspec.json.encode(sent))
            except UNFIT as error:
                if is_too_deep(error):
                    raise _unparsable() from error
                found = explain(error, sent, find_names())
                errors += [make_error("body", name, each) for each in found]
        except (msgspec.DecodeError, RecursionError) as error:
            raise _unparsable() from error

    return read


# What most clients send: searching for it takes a tenth of the time of reading the
# header.
_USUAL = b"\r\nContent-Type: application/json\r\n"
_LOWER = _USUAL.lower()


def _decode(body: bytes) -> Any:
    """Decode JSON that does not fit, with numbers such as `1.0` as integers.

    For JSON Schema, `1.0` is an integer, so the caller tries again with the result.
    After the first misfit, there may be text that is not JSON.

    Raises:
        HttpError: 400, when the body is not JSON.
    """
    try:
        return _WHOLE_NUMBERS.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _unparsable() from error


def _read_number(text: str) -> Any:
    number = float(text)
    if isinf(number):
        raise ValueError(f"{text} is too large for a float")
    if number.is_integer() and abs(number) < _LARGEST:
        return int(number)
    return msgspec.Raw(text.encode())


_WHOLE_NUMBERS = msgspec.json.Decoder(float_hook=_read_number)
_LARGEST = 10**22
"""Larger numbers take more characters as integers than a body should grow by."""


def get_essence(content_type: str) -> str:
    """Give a media type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip(" \t").lower()


def _unparsable() -> HttpError:
    return HttpError(HTTPStatus.BAD_REQUEST, "Unparsable JSON body")


def _unsupported(*accepted: str) -> HttpError:
    """Make the error that names what is accepted (RFC 9110, section 15.5.16)."""
    return HttpError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        f"Send {' or '.join(accepted)}",
        headers={"Accept": ", ".join(accepted)},
    )


def _make_raw_reader(parameter: Parameter, media: str) -> Read:
    name, required = parameter.name, parameter.required
    accepts = _make_check(media)
    stream = is_stream(parameter.type)
    as_text = unwrap(parameter.type) is str

    def read(request: Request, values: Values, errors: Errors) -> None:
        if request.content is None if stream else not request.body:
            if required:
                errors.append(make_error("body", name, MISSING))
            return
        if not accepts(get_essence(request.content_type)):
            raise _unsupported(media)
        if stream:
            values[name] = aiter(request)
            return
        try:
            values[name] = request.body.decode() if as_text else request.body
        except UnicodeDecodeError as error:
            status = HTTPStatus.BAD_REQUEST
            raise HttpError(status, "The body is not UTF-8") from error

    return read


def _make_check(media: str) -> Callable[[str], bool]:
    """Make the function that tells whether a media type is in the range *media*."""
    wanted = get_essence(media)
    if wanted == ANY:
        return lambda sent: True
    if wanted.endswith("/*"):
        return lambda sent: sent.startswith(wanted[:-1])
    return lambda sent: sent == wanted


def check_form(request: Request, values: Any, errors: Errors) -> None:
    """Check that a body, if there is one, is a form.

    Raises:
        HttpError: 415, when it is not a form.
    """
    if request.content is not None and get_essence(request.content_type) not in FORMS:
        raise _unsupported(*FORMS)
