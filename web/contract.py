"""The contract: OpenAPI 3.1 and AsyncAPI 3 from the very types that the wire uses."""

from __future__ import annotations

import functools
from typing import Any

import msgspec

from actors.alerts.commands import Silence
from actors.alerts.record import Made
from actors.ingest import Accepted
from actors.messages import Alert, Event, Health, MetricsUpdate, TestResult
from runtime.status import SystemStatus
from web.figures import DefinitionsAnswer, DetailsAnswer, HistoryAnswer, MetricsAnswer

REF = "#/components/schemas/{name}"
JSON = "application/json"


class OneAlert(msgspec.Struct, frozen=True):
    """An alert with every attempt to deliver it, oldest first."""

    alert: Alert
    attempts: list[Made]


# (method, path, summary, scope, request type or None, {status: response type or None})
ROUTES: tuple[tuple[str, str, str, str, Any, dict[str, Any]], ...] = (
    ("post", "/api/v1/events", "Events in", "ingest or HMAC", Event, {"200": Accepted}),
    (
        "post",
        "/api/v1/sources/freqtrade/{bot}/{secret}",
        "A freqtrade webhook",
        "the secret in the path",
        None,
        {"200": Accepted},
    ),
    ("get", "/api/v1/events/rejected", "Refused events, newest first", "read", None, {"200": None}),
    ("get", "/api/v1/metrics/realtime", "Figures", "read", None, {"200": MetricsAnswer}),
    ("get", "/api/v1/metrics/details", "Figures in detail", "read", None, {"200": DetailsAnswer}),
    ("get", "/api/v1/metrics/history", "Any part of charts", "read", None, {"200": HistoryAnswer}),
    (
        "get",
        "/api/v1/metrics/definitions",
        "What figures mean",
        "read",
        None,
        {"200": DefinitionsAnswer},
    ),
    ("get", "/api/v1/trades.csv", "Trades as CSV, streamed", "read", None, {"200": None}),
    ("get", "/api/v1/health/status", "Health", "read", None, {"200": Health}),
    ("get", "/api/v1/health/safety", "Safety controls of each bot", "read", None, {"200": None}),
    ("get", "/api/v1/alerts", "Alert history, newest first", "read", None, {"200": None}),
    ("get", "/api/v1/alerts/{id}", "One alert with its attempts", "read", None, {"200": OneAlert}),
    ("post", "/api/v1/alerts/test", "A test alert", "HMAC", None, {"200": TestResult}),
    ("post", "/api/v1/alerts/{id}/ack", "Acknowledge", "operate or HMAC", None, {"200": Alert}),
    ("get", "/api/v1/silences", "Silences in force", "read", None, {"200": None}),
    ("post", "/api/v1/silences", "Add a silence", "operate or HMAC", None, {"201": Silence}),
    ("delete", "/api/v1/silences/{id}", "End a silence", "operate or HMAC", None, {"204": None}),
    ("post", "/api/v1/session", "Log the page in", "a token", None, {"204": None}),
    ("get", "/api/v1/supervisor", "The actor tree", "read", None, {"200": SystemStatus}),
    ("get", "/api/v1/supervisor/quarantine", "Poison messages", "read", None, {"200": None}),
    ("get", "/livez", "Liveness", "none", None, {"200": None}),
    ("get", "/readyz", "Readiness", "read", None, {"200": None}),
    ("get", "/metrics", "Prometheus", "read", None, {"200": None}),
)
QUERIES = {
    "/api/v1/metrics/realtime": ("bot", "at", "definition"),
    "/api/v1/metrics/details": ("bot", "at"),
    "/api/v1/metrics/history": ("bot", "currency", "from", "to", "points"),
    "/api/v1/trades.csv": ("bot", "from", "to"),
    "/api/v1/alerts": ("limit", "before"),
    "/api/v1/events/rejected": ("limit",),
}
TYPES: tuple[Any, ...] = (
    Event,
    Accepted,
    MetricsUpdate,
    MetricsAnswer,
    DetailsAnswer,
    DefinitionsAnswer,
    HistoryAnswer,
    Health,
    Alert,
    OneAlert,
    Silence,
    SystemStatus,
    TestResult,
)
MESSAGES: dict[str, dict[str, Any]] = {
    "snapshot": {"metrics": MetricsUpdate, "health": Health, "supervisor": SystemStatus},
    "metrics_update": {"metrics": MetricsUpdate},
    "health_update": {"health": Health},
    "alert_triggered": {"alert": Alert},
    "alert_update": {"alert": Alert},
    "supervisor_update": {"supervisor": SystemStatus},
}


@functools.cache
def _schemas() -> tuple[dict[Any, Any], dict[str, Any]]:
    found, components = msgspec.json.schema_components(TYPES, ref_template=REF)
    return dict(zip(TYPES, found, strict=True)), components


def openapi(version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    schemas, components = _schemas()
    paths: dict[str, Any] = {}
    for method, path, summary, scope, body, responses in ROUTES:
        operation: dict[str, Any] = {
            "summary": summary,
            "description": f"Needs: {scope}.",
            "responses": {status: _response(schemas, kind) for status, kind in responses.items()},
        }
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        operation["parameters"] = [_parameter(name, "path") for name in names]
        operation["parameters"] += [_parameter(name, "query") for name in QUERIES.get(path, ())]
        if body is not None:
            operation["requestBody"] = {"content": {JSON: {"schema": schemas[body]}}}
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sidewatch", "version": version},
        "paths": paths,
        "components": {"schemas": components},
    }


def _parameter(name: str, where: str) -> dict[str, Any]:
    return {"name": name, "in": where, "required": where == "path", "schema": {"type": "string"}}


def _response(schemas: dict[Any, Any], kind: Any) -> dict[str, Any]:
    response: dict[str, Any] = {"description": "OK"}
    if kind is not None:
        response["content"] = {JSON: {"schema": schemas[kind]}}
    return response


def asyncapi(version: str) -> dict[str, Any]:
    """Return the AsyncAPI 3 document of the live WebSocket."""
    schemas, components = _schemas()
    messages = {name: {"payload": _message(schemas, name)} for name in MESSAGES}
    refs = [{"$ref": f"#/channels/live/messages/{name}"} for name in MESSAGES]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Sidewatch live", "version": version},
        "channels": {"live": {"address": "/api/v1/live", "messages": messages}},
        "operations": {
            "receive": {
                "action": "send",
                "channel": {"$ref": "#/channels/live"},
                "messages": refs,
            }
        },
        "components": {"schemas": components},
    }


def _message(schemas: dict[Any, Any], name: str) -> dict[str, Any]:
    fields = {
        "type": {"const": name},
        "seq": {"type": "integer"},
        "at": {"type": "string", "format": "date-time"},
    }
    for field, kind in MESSAGES[name].items():
        fields[field] = schemas[kind]
    return {"type": "object", "properties": fields, "required": list(fields)}
