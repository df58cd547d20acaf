"""Hides secrets of query strings in traces."""

from collections.abc import Container
from urllib.parse import unquote_plus

SECRETS = frozenset(
    {
        *("key", "password", "sig", "signature", "token", "access_token"),
        # Signed URLs of object stores, such as Amazon's and Google's.
        *("awsaccesskeyid", "x-amz-credential", "x-amz-security-token"),
        *("x-amz-signature", "x-goog-credential", "x-goog-signature"),
    }
)
"""The names of parameters that usually hold secrets, in lower case."""

REDACTED = "REDACTED"


def redact_query(query: str, secrets: Container[str]) -> str:
    """Replace the values of secret parameters; everything else stays as it was sent.

    Args:
        query: What follows the question mark, as sent.
        secrets: Names, in lower case. Percent-encoded names are recognized, too.
    """
    if "=" not in query:
        return query
    return "&".join(
        [
            f"{name}={REDACTED}"
            if equals and unquote_plus(name).lower() in secrets
            else field
            for field in query.split("&")
            for name, equals, _ in (field.partition("="),)
        ]
    )
