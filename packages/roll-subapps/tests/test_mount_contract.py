from roll import Roll
from roll.extensions import mount
from roll_contract import ExtensionContract


class TestMount(ExtensionContract):
    extension = staticmethod(mount)
    distribution = "roll-subapps"

    @property
    def options(self):
        return {"prefix": "/mounted", "subapp": Roll()}
