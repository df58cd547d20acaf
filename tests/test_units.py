"""The units of docs/how-to/systemd.md and of the tutorial: systemd understands them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("how-to/systemd.md", "tutorials/production.md")
PROGRAM = shutil.which("systemd-analyze")


def units(page):
    """Give the units of a page, the first of which is the service."""
    found = re.findall(r"^```ini\n(.*?)^```$", (DOCS / page).read_text(), re.M | re.S)
    assert found
    return found


def settings(unit):
    """Map each key of a unit to its value, the last where there are several."""
    return dict(re.findall(r"^(\w+)=(.*)$", unit, re.M))


services = pytest.mark.parametrize("service", [units(page)[0] for page in PAGES])


# systemd is not a Python package: the other tests run without it.
# `.ci/run` installs it, so that nothing is skipped there.
@pytest.mark.skipif(
    PROGRAM is None, reason="systemd-analyze is not installed: apt-get install systemd"
)
@pytest.mark.parametrize("page", PAGES)
def test_systemd_finds_no_mistake(page, tmp_path):
    names = ("shop.service", "shop.socket")
    for name, unit in zip(names, units(page), strict=False):
        # The program of the page is not installed; older versions lack this type.
        unit = re.sub("(?<=ExecStart=).+/roll", sys.executable, unit)
        (tmp_path / name).write_text(unit.replace("notify-reload", "notify"))
    done = subprocess.run(
        [PROGRAM, "verify", *sorted(tmp_path.iterdir())], capture_output=True, text=True
    )
    # It also looks at units of this machine, which it may find faults with.
    assert str(tmp_path) not in done.stderr
    assert "shop." not in done.stderr


@services
def test_a_service_that_may_write_nowhere_has_a_folder_for_large_uploads(service):
    found = settings(service)
    assert found["ProtectSystem"] == "strict"
    assert found["PrivateTmp"] == "yes"


@services
def test_systemd_waits_for_the_longest_end(service):
    found = settings(service)
    drain, graceful = 5, 30
    assert int(found["TimeoutStopSec"]) > drain + 2 * graceful + 5


def test_only_the_user_of_the_socket_may_connect():
    found = settings(units(PAGES[0])[1])
    assert found["SocketUser"]
    assert found["SocketMode"] == "0600"


def test_it_is_tried_again_more_slowly_than_systemd_gives_up():
    found = settings(units(PAGES[0])[0])
    assert int(found["RestartSec"]) * 5 > 10
