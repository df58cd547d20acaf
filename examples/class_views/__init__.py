"""A resource as a class: one function for each method, made once."""

from roll import HttpError, Roll

app = Roll()
app["notes"] = {}


@app.route("/notes")
class Notes:
    async def on_get(self, request, response):
        response.json = request.app["notes"]

    async def on_post(self, request, response):
        notes = request.app["notes"]
        key = str(len(notes) + 1)
        notes[key] = request.form.get("text")
        response.redirect = f"/notes/{key}", 303


@app.route("/notes/{key}")
class Note:
    async def on_get(self, request, response, key):
        response.body = self.find(request, key)

    async def on_delete(self, request, response, key):
        self.find(request, key)
        del request.app["notes"][key]
        response.status = 204

    def find(self, request, key):
        try:
            return request.app["notes"][key]
        except KeyError:
            raise HttpError(404, "No such note") from None
