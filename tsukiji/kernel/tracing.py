"""Traces for OpenTelemetry, where `OTEL_EXPORTER_OTLP_ENDPOINT` is set: from a request to the work that it led to.

A message has no content, so the job's row carries the trace (`traceparent`, W3C Trace Context) to the workers. Without
an endpoint nothing is imported, and nothing done.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

log = structlog.get_logger(__name__)

VARIABLE: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
CARRIED: Final = "traceparent"

_tracer: "Tracer | None" = None
_provider: Any = None


def configure(program: str, version: str) -> None:
    """Export this process's spans, if an endpoint is set and `tsukiji[otel]` is installed."""
    if not os.environ.get(VARIABLE):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - an optional extra
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        log.warning("tracing_unavailable", error=str(error), hint="pip install 'tsukiji[otel]'")
        return
    start(program, version, BatchSpanProcessor(OTLPSpanExporter()))


def start(program: str, version: str, processor: Any) -> None:
    """Hand spans to an OpenTelemetry span processor."""
    global _tracer, _provider
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an optional extra
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an optional extra

    resource = Resource.create({"service.name": f"tsukiji-{program}", "service.version": version})
    _provider = TracerProvider(resource=resource)
    _provider.add_span_processor(processor)
    _tracer = _provider.get_tracer("tsukiji")


def stop() -> None:
    global _tracer
    _tracer = None


def is_on() -> bool:
    return _tracer is not None


def instrument(app: Any, quiet: Sequence[str]) -> None:
    """Trace the requests of a FastAPI application, but those of these paths; a caller's trace is continued."""
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415 - an optional extra

    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=_provider, excluded_urls=",".join(quiet), exclude_spans=["receive", "send"]
    )


@contextmanager
def span(name: str, parent: str | None = None, **attributes: Any) -> Iterator[None]:
    """Measure a block as a span of the present trace, or of the one that `parent` (a traceparent) names."""
    if _tracer is None:
        yield
        return
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - an optional extra
        TraceContextTextMapPropagator,
    )

    context = TraceContextTextMapPropagator().extract({CARRIED: parent}) if parent else None
    known = {key: value for key, value in attributes.items() if value is not None}
    with _tracer.start_as_current_span(name, context=context, attributes=known):
        yield


def traceparent() -> str | None:
    """Return the present span for a row; None outside of one."""
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - an optional extra
        TraceContextTextMapPropagator,
    )

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(CARRIED)
