"""What a query string may show to those who read traces."""

from collections.abc import Container
from urllib.parse import unquote_plus

SECRETS = frozenset(
    {
        *("key", "password", "sig", "signature", "token", "access_token"),
        # Signed addresses of Amazon's, Google's and others' stores.
        *("awsaccesskeyid", "x-amz-credential", "x-amz-security-token"),
        *("x-amz-signature", "x-goog-credential", "x-goog-signature"),
    }
)
"""The names of parameters that usually hold secrets, in lower case."""

REDACTED = "REDACTED"


def redact_query(query: str, secrets: Container[str]) -> str:
    """Replace the values of secret parameters; all else stays as it was sent.

    Args:
        query: What stands behind the question mark, as sent.
        secrets: Names, in lower case. A name that is percent-encoded is known, too.
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
