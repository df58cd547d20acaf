from types import MappingProxyType

from roll import Roll
from roll.extensions import asgi, mount_asgi, mount_wsgi
from roll_contract import ExtensionContract


class TestAsgi(ExtensionContract):
    extension = staticmethod(asgi)
    distribution = "roll-asgi"


class TestMountAsgi(ExtensionContract):
    extension = staticmethod(mount_asgi)
    distribution = "roll-asgi"
    options = MappingProxyType({"prefix": "/m", "application": asgi(Roll())})


class TestMountWsgi(ExtensionContract):
    extension = staticmethod(mount_wsgi)
    distribution = "roll-asgi"
    options = MappingProxyType({"prefix": "/m", "application": Roll})
