"""HTTP/1.1: bytes to events, and responses to bytes (RFC 9112)."""
