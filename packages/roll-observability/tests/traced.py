"""An application to be traced, and what keeps its spans."""

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from roll import Roll


class Spans(InMemorySpanExporter):
    """A provider, and the spans that have ended."""

    def __init__(self, **options):
        super().__init__()
        self.provider = TracerProvider(shutdown_on_exit=False, **options)
        self.provider.add_span_processor(SimpleSpanProcessor(self))

    def __len__(self):
        return len(self.get_finished_spans())

    def __iter__(self):
        return iter(self.get_finished_spans())

    @property
    def only(self):
        (span,) = self
        return span

    @property
    def names(self):
        return [span.name for span in self]


def make_app():
    app = Roll()

    @app.route("/users/{id:int}")
    async def user(request, response, id):
        response.body = f"user {id}"

    @app.route("/broken")
    async def broken(request, response):
        raise ValueError("no")

    return app
