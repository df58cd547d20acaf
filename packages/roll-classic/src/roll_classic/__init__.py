"""The engines that Roll 0.13 was built on, behind the interfaces of the core.

Each class is a subclass of the core's. It gives its engine what the engine is known to
get right, and everything else to the core, so that both give the same results.
"""

from typing import ClassVar

from roll import Roll as CoreRoll

from .cookies import Cookie, Cookies
from .multipart import Multipart
from .routes import Routes

__all__ = ["Cookie", "Cookies", "Multipart", "Roll", "Routes"]


class Roll(CoreRoll):
    """An application on all three engines."""

    Cookies: ClassVar[type[Cookies]] = Cookies
    Multipart: ClassVar[type[Multipart]] = Multipart
    Routes: ClassVar[type[Routes]] = Routes
