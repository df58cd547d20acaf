"""A client of event streams, written from the HTML standard alone (section 9.2.6)."""

import re
from typing import NamedTuple


class Dispatched(NamedTuple):
    """A message that a page gets."""

    type: str
    data: str
    id: str


class Oracle:
    """Interprets a whole stream; what `dispatched` has is what a page gets."""

    def __init__(self, stream):
        self.dispatched = []
        self.last_id = ""
        self.retry = None  # in milliseconds
        self._data = self._type = self._id = ""
        # "UTF-8 decode", which drops one leading BOM and replaces what is malformed.
        text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
        # stream = [ bom ] *event; end-of-line = ( cr lf / cr / lf )
        *lines, _incomplete = re.split("\r\n|\r|\n", text)
        for line in lines:
            self._process(line)

    def _process(self, line):
        if line == "":
            self._dispatch()
        elif line.startswith(":"):
            pass  # ignore the line
        else:
            name, _, value = line.partition(":")
            # "If value starts with a U+0020 SPACE character, remove it from value."
            self._process_field(name, value.removeprefix(" "))

    def _process_field(self, name, value):
        if name == "event":
            self._type = value
        elif name == "data":
            self._data += value + "\n"
        elif name == "id":
            if "\0" not in value:
                self._id = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            self.retry = int(value)

    def _dispatch(self):
        self.last_id = self._id
        data, kind = self._data, self._type
        self._data = self._type = ""
        if data == "":
            return
        self.dispatched.append(
            Dispatched(kind or "message", data.removesuffix("\n"), self.last_id)
        )
