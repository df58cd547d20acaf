import pytest

from examples import query_dates


@pytest.fixture
def app():
    return query_dates.app


@pytest.mark.parametrize(
    ("query", "expected"),
    [("from=2026-02-27&to=2026-03-02", 3), ("from=2026-02-27", 1)],
)
async def test_nights_are_counted(client, query, expected):
    assert (await client.get(f"/nights?{query}")).json == {"nights": expected}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("to=2026-03-02", b"Missing 'from'"),
        ("from=tomorrow", b"'from' is not a date"),
        ("from=2026-02-27&to=2026-02-30", b"'to' is not a date"),
    ],
)
async def test_what_is_no_date_is_400(client, query, message):
    answer = await client.get(f"/nights?{query}")
    assert (answer.status, answer.body) == (400, message)
