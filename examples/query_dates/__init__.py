"""A query that knows dates: the app says what its queries are made of."""

from datetime import date, timedelta

from roll import HttpError, Query, Roll


class DateQuery(Query):
    """A query with `.date`, beside `.int`, `.bool` and `.float`."""

    def date(self, key, default=...):
        """Return a value as a date (ISO 8601); 400 when it is not a date."""
        value = self.get(key, default)
        if value is default:
            return value
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise HttpError(400, f"'{key}' is not a date") from error


class App(Roll):
    Query = DateQuery


app = App()


@app.route("/nights")
async def nights(request, response):
    arrival = request.query.date("from")
    departure = request.query.date("to", arrival + timedelta(days=1))
    response.json = {"nights": (departure - arrival).days}
