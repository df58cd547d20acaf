import gc

import pytest
from roll import Request, Response
from roll_compress.streams import Compressed


@pytest.fixture
def leftovers():
    """Turn the collector off, and give a function that finds what a test leaves."""

    def kept():
        kinds = (Request, Response, Compressed)
        return {id(each) for each in gc.get_objects() if type(each) in kinds}

    gc.collect()
    gc.disable()
    others = kept()  # of tests before, which a report may hold on to
    yield lambda: kept() - others
    gc.enable()
