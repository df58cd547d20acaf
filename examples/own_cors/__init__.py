"""An extension of one's own: a function of an app and options.

roll-cors does far more; this is what the idea comes down to.
"""

from roll import Roll


def cors(app, value="*"):
    # The names are those of the event in another order, so they come by name.
    @app.listen("response")
    async def add_cors_headers(response, request):
        response.headers["Access-Control-Allow-Origin"] = value


app = Roll()
cors(app, value="https://example.org")


@app.route("/")
async def home(request, response):
    response.body = "read me from example.org"
