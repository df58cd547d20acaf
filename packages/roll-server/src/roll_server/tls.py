"""TLS with the standard library, and certificates that can be replaced at runtime."""

import ssl
from pathlib import Path

from .exits import Exit, StartError


class Certificate:
    """A certificate, and the context that serves it.

    The minimum is TLS 1.2, and ALPN agrees on `http/1.1` (RFC 7301).

    Args:
        cert: A PEM file, with the intermediate certificates.
        key: The file of its private key, if it is not in *cert*.

    Raises:
        StartError: They cannot be loaded.
    """

    def __init__(self, cert: Path, key: Path | None) -> None:
        self._files = (cert, key)
        self.context = self._load()

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        self._load_into(context)
        return context

    def _load_into(self, context: ssl.SSLContext) -> None:
        cert, key = self._files
        try:
            context.load_cert_chain(cert, key, password=_refuse_password)
        except (OSError, ValueError) as error:
            raise StartError(
                f"the certificate {cert}, with the key {key or cert}, cannot be "
                f"loaded: {self._explain(error)}",
                Exit.CERTIFICATE,
            ) from error

    def _explain(self, error: Exception) -> str:
        cert, key = self._files
        absent = [path for path in (cert, key) if path and not path.exists()]
        if absent:
            return f"there is no file {absent[0]}"
        if key is None and isinstance(error, ssl.SSLError) and not error.reason:
            return "it does not have both in PEM; name the file of the key with tls-key"
        return _tell(error)

    def reload(self) -> None:
        """Read the files again, for connections from now on.

        Raises:
            StartError: They cannot be loaded; the previous ones stay.
        """
        self._load()  # a failure must not leave the serving context half changed
        self._load_into(self.context)


def _refuse_password() -> str:
    raise ValueError("the key has a password: nobody could type it, so remove it")


def _tell(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return _REASONS.get(error.reason, str(error))
    return getattr(error, "strerror", None) or str(error)


_REASONS = {
    None: "they are not a certificate and key in PEM",
    "KEY_VALUES_MISMATCH": "the key belongs to another certificate",
}
