"""tracing: what its options may be."""

import subprocess
import sys

import pytest
from roll import Roll
from roll.extensions import tracing


@pytest.fixture
def app():
    return Roll()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"trust": "10.0.0.1"}, TypeError, "trust='10.0.0.1': give a list of address"),
        ({"trust": 1}, TypeError, "trust=1: give a list of addresses of peers"),
        ({"trust": [1]}, TypeError, "trust: 1 is not a string: give addresses"),
        ({"trust": ["proxy"]}, ValueError, "trust: 'proxy': give an IP address"),
        ({"trust": ["10.0.0.1/8"]}, ValueError, "trust: '10.0.0.1/8': give an IP"),
        ({"exclude": "/livez"}, TypeError, "exclude='/livez': give a list of paths"),
        ({"exclude": ["livez"]}, ValueError, "exclude: 'livez' is not a path: start"),
        ({"request_headers": "A"}, TypeError, "request_headers='A': give a list"),
        ({"request_headers": ["a b"]}, ValueError, "request_headers: 'a b' is not"),
        ({"request_headers": ["Cookie"]}, ValueError, "'Cookie' holds secrets"),
        ({"request_headers": ["authorization"]}, ValueError, "'authorization' holds"),
        ({"request_headers": ["Proxy-Authorization"]}, ValueError, "holds secrets"),
        ({"response_headers": [""]}, ValueError, "response_headers: '' is not"),
        ({"response_headers": ["SET-COOKIE"]}, ValueError, "'SET-COOKIE' holds"),
        ({"redact": "code"}, TypeError, "redact='code': give a list of names"),
        ({"redact": [b"code"]}, TypeError, "redact: b'code' is not a string"),
        ({"response_header": "yes"}, TypeError, "response_header='yes': give True"),
    ],
)
def test_wrong_options_are_refused(app, options, error, message):
    with pytest.raises(error) as raised:
        tracing(app, **options)
    assert message in str(raised.value)
    assert app.hooks == {}


def test_a_second_call_is_refused(app):
    tracing(app)
    with pytest.raises(ValueError, match="traced already: call `tracing` once"):
        tracing(app)
    tracing(Roll())


def test_without_the_api_the_error_names_the_extra(app, monkeypatch):
    monkeypatch.delitem(sys.modules, "roll_observability.spans", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ImportError, match=r"roll-observability\[opentelemetry\]"):
        tracing(app)
    assert app.hooks == {}


def test_what_is_not_called_is_not_imported():
    code = "import sys, roll_observability; print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n"
