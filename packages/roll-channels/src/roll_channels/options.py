"""The options of `channels`, and a check of names."""

from dataclasses import dataclass

from roll.plugins import require_seconds

LONGEST_NAME = 200
"""The most characters of the name of a channel, an event or a member."""

PRESENCE = ":presence"
"""What the name of a channel ends with in the name of its presence channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is kept of channels, and how long; `channels` describes each option.

    Raises:
        TypeError: An option has another type.
        ValueError: One is out of range.
    """

    history: int = 1000
    history_bytes: int = 8 * 2**20
    ttl: float | None = 300.0
    max_message: int = 64 * 1024
    prefix: str = "roll"
    timeout: float = 5.0

    def __post_init__(self) -> None:
        for name in ("history", "history_bytes", "max_message"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool):
                raise TypeError(f"{name}={value!r}: give a whole number")
            if value < 1:
                raise ValueError(f"{name}={value!r}: give a number above 0")
        if self.history_bytes < self.max_message:
            raise ValueError(
                f"history_bytes={self.history_bytes}: give at least max_message, "
                f"which is {self.max_message}"
            )
        require_seconds("timeout", self.timeout)
        if self.ttl is not None:
            require_seconds("ttl", self.ttl)
        if not isinstance(self.prefix, str):
            raise TypeError(f"prefix={self.prefix!r}: give a string")
        if not self.prefix.isprintable() or not self.prefix or "}" in self.prefix:
            raise ValueError(f"prefix={self.prefix!r}: give text without '}}'")


def check_name(what: str, name: object) -> str:
    """Check a name, for example of a channel.

    Raises:
        TypeError: It is not a string.
        ValueError: It is empty or too long, or cannot be printed.
    """
    if not isinstance(name, str):
        raise TypeError(f"{what} {name!r}: give a string")
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise ValueError(
            f"{what} {name[:LONGEST_NAME]!r}: give 1 to {LONGEST_NAME} printable "
            "characters"
        )
    return name
