"""Traces by OpenTelemetry, when they are asked for: a span for each request, joined to the client's own trace.

The only file that knows OpenTelemetry, which is installed by `holdfast[otel]` and imported only when tracing is on.
Where spans go is said by OpenTelemetry's own variables (OTEL_EXPORTER_OTLP_ENDPOINT, ...). A span holds the method, the
kind of route and the status: no headers, no query, no path, as names of repositories may be nobody else's business.
Source: OpenTelemetry semantic conventions for HTTP spans; W3C Trace Context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from holdfast.core.errors import ConfigurationInvalid
from holdfast.faces.oci_call import parse_path

if TYPE_CHECKING:
    from holdfast.faces.http import Handler, Request, Response

_LEAST_SERVER_ERROR: Final = 500
_OF_THE_SDK: Final = "holdfast"


class Tracing:
    """Makes handlers that leave spans."""

    def __init__(self, exporter: Any = None) -> None:  # noqa: ANN401 - a type of an optional library
        """`exporter`: where spans go; without one, by OTLP over HTTP.

        Raises ConfigurationInvalid when the library is not installed.
        """
        try:
            from opentelemetry import propagate, trace  # noqa: PLC0415 - optional, and off by default
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

            if exporter is None:
                from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

                exporter = OTLPSpanExporter()
        except ImportError as error:
            msg = f"Tracing is on and OpenTelemetry is not installed ({error.name}): pip install 'holdfast[otel]'."
            raise ConfigurationInvalid(msg) from None
        self._provider = TracerProvider(resource=Resource.create({"service.name": _OF_THE_SDK}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(_OF_THE_SDK)
        self._extract = propagate.extract
        self._kind = trace.SpanKind.SERVER
        self._error = trace.StatusCode.ERROR

    def traced(self, handler: Handler) -> Handler:
        """Make a handler leave a span for each request."""

        async def answer(request: Request) -> Response:
            name = f"{request.method} {route_of(request)}"
            span = self._tracer.start_span(name, context=self._extract(request.headers), kind=self._kind)
            span.set_attribute("http.request.method", request.method)
            span.set_attribute("http.route", route_of(request))
            span.set_attribute("holdfast.request_id", request.id)
            try:
                response = await handler(request)
                span.set_attribute("http.response.status_code", response.status)
                if response.status >= _LEAST_SERVER_ERROR:
                    span.set_status(self._error)
            except BaseException as error:
                span.set_status(self._error, type(error).__name__)
                raise
            else:
                return response
            finally:
                span.end()

        return answer

    def close(self) -> None:
        """Send what was not sent yet. Blocks until then, or until the exporter gives up."""
        self._provider.shutdown()


def route_of(request: Request) -> str:
    """Return what kind of thing a request is about: one of a closed set, whatever the path says."""
    if request.path == "/":
        return request.headers.get("x-amz-target", "").rpartition(".")[2][:64] if _is_operation(request) else "/"
    if request.path in {"/token", "/livez", "/readyz", "/readyz/write", "/metrics"}:
        return request.path
    if request.path.startswith(("/v2/", "/download/")):
        try:
            target = parse_path(request.path)
        except UnicodeDecodeError:
            target = None
        return f"/v2/{target.kind}" if target is not None else request.path[: request.path.find("/", 1) + 1]
    return "other"


def _is_operation(request: Request) -> bool:
    name = request.headers.get("x-amz-target", "").rpartition(".")[2]
    return request.method == "POST" and name.isascii() and name.isalnum()
