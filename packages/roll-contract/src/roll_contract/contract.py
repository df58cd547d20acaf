"""ExtensionContract: tests that every extension of Roll passes, to inherit."""

import re
from collections import Counter
from collections.abc import Callable, Iterable

import pytest
from roll_testing import ClientResponse

from .installed import InstalledContract, fail
from .site import (
    EVENTS,
    Ask,
    FaultError,
    Listening,
    Site,
    answer_in_listeners,
    ask,
    describe,
    raise_in_listeners,
    record,
)

MALFORMED = ("", ',;="', "\xe9\xff", "-1", "bytes=9-0", "q=;q=x", "9" * 1000)
"""Values that no field should have, but any client can send."""

FIELDS = (
    *("Accept", "Accept-Encoding", "Accept-Language", "Authorization"),
    *("Access-Control-Request-Headers", "Access-Control-Request-Method"),
    *("Content-Type", "Cookie", "Forwarded", "If-Match", "If-Modified-Since"),
    *("If-None-Match", "If-Range", "If-Unmodified-Since", "Origin", "Range"),
    *("Referer", "User-Agent", "X-Forwarded-For", "X-Forwarded-Host"),
    *("X-Forwarded-Proto", "X-Request-Id", "X-Requested-With"),
)


class ExtensionContract(InstalledContract):
    """Tests that an extension passes; a subclass says which.

    ```python
    class TestTeleport(ExtensionContract):
        extension = staticmethod(teleport)
    ```

    They need the package to be installed, in place (`pip install -e .`) or not, but no
    plugin of pytest: each runs the loops that it needs. `InstalledContract` has the
    attributes that describe an extension further.
    """

    def test_it_acts_on_no_other_app(self) -> None:
        """Called with one app, it leaves others alone."""
        self._skip_what_serves()
        requests = [Ask("GET", "/"), Ask("GET", "/nowhere"), Ask("OPTIONS", "/")]
        before = [describe(answer) for answer in _ask(Site(), requests)]
        self._site()
        other = Site()
        after = [describe(answer) for answer in _ask(other, requests)]
        if other.hooks or len(other) or before != after:
            fail(
                "it was called with one app, and acts on another: keep what it needs "
                "in its closure, or under one key of the app that it gets"
            )

    def test_set_up_twice_is_safe_or_refused(self) -> None:
        """A second call changes no response, or raises and says why."""
        paths = ("/", "/late", "/nowhere", "/refused")
        requests = [Ask("GET", path) for path in paths]
        once, again = (_ask(self._site(), requests) for _ in range(2))
        site = self._site()
        outcome = "it was called twice"
        try:
            self._extension(site, **self.options)
        except Exception as error:
            outcome = f"the second call raised {error!r}"
            if not str(error):
                fail(f"{outcome}, with no message: say what is wrong")
        twice = _ask(site, requests, outcome)
        for request, *answers in zip(requests, once, again, twice, strict=True):
            first, second, third = map(_outline, answers)
            for name in first | third:
                # What differs between two apps, such as a token, may differ here.
                if first.get(name) == second.get(name) != third.get(name):
                    fail(
                        f"{outcome}, and {request} is answered with {name} "
                        f"{third.get(name)}, not {first.get(name)}: raise before "
                        "anything is changed, or make the second call harmless"
                    )

    @pytest.mark.parametrize("path", ["/", "/refused"])
    def test_listeners_of_both_colours_run_beside_it(self, path: str) -> None:
        """Plain and coroutine listeners run once, before it and after it."""
        places = ("before", "after")
        site = self._site([record("before")], [record("after")])
        _ask(site, [Ask("GET", path)])
        # It may respond before the view; then some listeners do not run.
        owed = {"startup", "response", "shutdown"}
        if path in site.ran:
            owed |= {"headers", "request"}
        if path in site.ran and path != "/":
            owed.add("error")
        counts = Counter(site.ran)
        for event in filter(owed.__contains__, EVENTS):
            for listening in _listenings(event, places):
                if counts[listening] != 1:
                    fail(
                        f"GET {path}: {listening} ran {counts[listening]} times, not "
                        "once: return nothing from your listeners, except True from "
                        "one that has answered, and leave those of others alone"
                    )

    @pytest.mark.parametrize("place", ["before", "after"])
    def test_it_survives_errors(self, place: str) -> None:
        """It does its work for 404, 405 and 500, and for exceptions of listeners."""
        paths = ("/nowhere", "/refused", "/raised/headers", "/raised/request")
        requests = [Ask("GET", path) for path in (*paths, "/raised/response")]
        broken = Ask("GET", "/broken")
        site = self._site_with(raise_in_listeners, place)
        self._check(site, [*requests, Ask("POST", "/"), broken], but=broken)

    @pytest.mark.parametrize("place", ["before", "after"])
    def test_it_survives_shortcuts(self, place: str) -> None:
        """It does its work when a listener responds, and others have not run."""
        paths = ("/answered/headers", "/answered/request")
        site = self._site_with(answer_in_listeners, place)
        self._check(site, [Ask("GET", path) for path in paths])

    def test_it_survives_head(self) -> None:
        """HEAD has the status of GET, and no content (RFC 9110, section 9.3.2)."""
        paths = ("/", "/nowhere", "/refused")
        pairs = [(Ask("GET", path), Ask("HEAD", path)) for path in paths]
        for get, head in pairs:
            first, second = self._check(self._site(), [get, head])
            if first.status != second.status:
                fail(
                    f"{head} is answered with {second.status}, {get} with "
                    f"{first.status}: treat HEAD as GET; Roll leaves its content out"
                )

    def test_it_survives_what_clients_send(self) -> None:
        """Fields that make no sense never cause a 500."""
        fields = [dict.fromkeys(FIELDS, value) for value in MALFORMED]
        methods = ("GET", "HEAD", "OPTIONS", "POST")
        self._check(
            self._site(),
            [Ask(method, "/?%ff=%00&=&;", f) for f in fields for method in methods],
        )

    def test_it_starts_again_after_a_shutdown(self) -> None:
        """The app starts, stops, and starts again in another loop, as in tests."""
        site = self._site()
        requests = [Ask("GET", "/"), Ask("GET", "/nowhere")]
        first, second = (self._check(site, requests) for _ in range(2))
        for request, before, after in zip(requests, first, second, strict=True):
            if before.status != after.status:
                fail(
                    f"{request} is answered with {after.status} when the app has "
                    f"started again, with {before.status} before: make at startup "
                    "what a shutdown ends"
                )

    # What the tests share

    def _site(
        self,
        before: Iterable[Callable[[Site], None]] = (),
        after: Iterable[Callable[[Site], None]] = (),
    ) -> Site:
        """Make an app, and call the extension on it between its declarations."""
        self._skip_what_serves()
        site = Site()
        for declare in before:
            declare(site)
        self._extension(site, **self.options)
        for declare in after:
            declare(site)
        site.route("/late")(site.greet_late)
        return site

    def _skip_what_serves(self) -> None:
        # A server does not return, so nothing can be checked after the call.
        if self.serves:
            pytest.skip(f"`serves = True`: to call {self._name} would block")

    def _site_with(self, declare: Callable[[Site], None], place: str) -> Site:
        return self._site(**{place: [declare]})

    def _check(
        self, site: Site, requests: list[Ask], but: Ask | None = None
    ) -> list[ClientResponse]:
        """Send requests, and accept no 500, except for the request *but*."""
        answers = _ask(site, requests)
        for request, answer in zip(requests, answers, strict=True):
            if answer.status == 500 and request is not but:
                fail(f"{request} is answered with 500, and was without the extension")
        return answers


def _ask(
    site: Site, requests: list[Ask], when: str = "it was called once"
) -> list[ClientResponse]:
    """Send requests, and accept no exception of a listener."""
    answers, fault = [], ""
    try:
        answers = ask(site, requests)
    except FaultError as error:
        fault = str(error)
    if fault:
        fail("\n".join([f"{when}, and {fault}", *site.raised[:1]]))
    if site.raised:
        fail(
            f"{when}, and {site.raised[0]}"
            "what is missing here may be missing for every request: no route that "
            "matches, a listener before it that has not run"
        )
    return answers


def _outline(answer: ClientResponse) -> dict[str, str]:
    """Describe a response without counts, times and random values."""
    numbers = re.compile(r"[\w.-]*\d[\w.-]*")
    found = {name: numbers.sub("#", str(has)) for name, has in describe(answer).items()}
    return {**found, "status": str(int(answer.status))}


def _listenings(event: str, places: Iterable[str]) -> Iterable[Listening]:
    for place in places:
        for colour in ("plain", "coroutine"):
            yield Listening(event, colour, place)
