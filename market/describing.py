"""The API's description (OpenAPI 3.1): Litestar's reading of the routes, completed from what the code itself says.

Litestar knows paths and parameters. Bodies and answers are described by msgspec, which checks and writes them, so that
both always say the same. What any call may be refused with, which headers go in and out, who may call without a token,
and what can be done next with something that was made (links) follow from the kind of call.
"""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, get_args, get_origin

import msgspec
from litestar import Litestar, Response
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import OpenAPI

from market.permissions import PUBLIC, handlers
from market.problems import Problem
from market.web import MOST_ID

COMPONENTS = "#/components/schemas/{name}"
TAG = {"schema": {"type": "string"}, "description": "A strong tag of this answer, for If-None-Match and If-Match."}
SECONDS = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "required": True}}
HEADERS: Mapping[int, Any] = {
    201: {"Location": {"schema": {"type": "string"}, "description": "Where it is found."}},
    401: {"WWW-Authenticate": {"schema": {"type": "string"}, "required": True}},
    429: SECONDS,
    503: SECONDS,
}
REPLAYED = {
    "Idempotency-Replayed": {"schema": {"const": "true"}, "description": "Answered before, under this Idempotency-Key."}
}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    "description": "Repeated within 24 hours: the same answer and no second effect. With another call: 422.",
}
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "The ETag of what you read; 412 if it is something else by now. *: whatever it is.",
}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "The ETag of the answer you have; 304 while that is still right.",
}


class Config(OpenAPIConfig):
    """Litestar's, whose description is completed. ``app`` is set once there is one."""

    app: Litestar

    def to_openapi_schema(self) -> OpenAPI:
        """What Litestar fills with paths."""
        plain = super().to_openapi_schema()
        found = Description(info=plain.info, servers=plain.servers, components=plain.components)
        found.app, found.written = self.app, {}
        return found


class Description(OpenAPI):
    """Litestar's description, completed as it is written out."""

    app: Litestar
    written: dict[str, Any]

    def to_schema(self) -> dict[str, Any]:
        """As JSON, made once."""
        if not self.written:
            self.written = completed(super().to_schema(), self.app)
        return self.written


def completed(description: dict[str, Any], app: Litestar) -> dict[str, Any]:
    """The description with everything this module adds."""
    calls = {(method.lower(), path): handler for method, path, handler in handlers(app) if path in description["paths"]}
    kinds = list(
        dict.fromkeys(kind for handler in calls.values() for kind in (_body(handler), _answer(handler)) if kind)
    )
    schemas, components = msgspec.json.schema_components([*kinds, Problem], ref_template=COMPONENTS)
    known: dict[Any, Any] = dict(zip([*kinds, Problem], schemas, strict=True))
    description["components"]["schemas"] |= {name: _portable(one) for name, one in components.items()}
    description["components"]["responses"] = _refusals(known[Problem])
    for (method, path), handler in calls.items():
        operation = description["paths"][path][method]
        public = f"{method.upper()} {path}" in PUBLIC
        operation["security"] = [*([{}] if public else []), {"token": []}]
        operation["parameters"] = [*map(_parameter, operation.get("parameters", ())), *_headers_in(method, handler)]
        if body := _body(handler):
            operation["requestBody"]["content"] = {"application/json": {"schema": _portable(known[body])}}
        operation["responses"] = _answers(method, handler, operation, known) | _refused(method, path, operation)
    for path, name, child in _made(description["paths"]):
        _link(description["paths"][path]["post"], name, child)
    _prune(description)
    return description


# types ---------------------------------------------------------------------------------------------------------------


def _body(handler: HTTPRouteHandler) -> Any:
    field = handler.parsed_data_field
    return field.annotation if field else None


def _answer(handler: HTTPRouteHandler) -> Any:
    """What the handler answers with; None where that is a file."""
    if "files" in handler.opt:
        return None
    kind = handler.parsed_return_field.annotation
    return get_args(kind)[0] if get_origin(kind) is Response else kind


def _portable(schema: Any) -> Any:
    r"""Patterns as JSON Schema has them: Python's \Z is its $, and $ without newline is what both mean then."""
    if isinstance(schema, dict):
        return {
            key: value.replace(r"\Z", "$") if key == "pattern" and isinstance(value, str) else _portable(value)
            for key, value in schema.items()
        }
    return [_portable(one) for one in schema] if isinstance(schema, list) else schema


def _parameter(given: dict[str, Any]) -> dict[str, Any]:
    """Limits as integers; what may be left out may also be null, which people write into an address."""
    schema = {"anyOf" if key == "oneOf" else key: value for key, value in given["schema"].items()}
    for limit in ("minimum", "maximum"):
        if isinstance(schema.get(limit), float):
            schema[limit] = min(int(schema[limit]), MOST_ID)
    return {**given, "schema": _portable(schema)}


# what goes in and out ------------------------------------------------------------------------------------------------


def _headers_in(method: str, handler: HTTPRouteHandler) -> Iterator[dict[str, Any]]:
    if method == "get":
        yield IF_NONE_MATCH
    else:
        yield {**KEY, "required": bool(handler.opt.get("key_required"))}
    if method == "put":
        yield {**IF_MATCH, "required": bool(handler.opt.get("if_match_required"))}


def _answers(
    method: str, handler: HTTPRouteHandler, operation: Mapping[str, Any], known: Mapping[Any, Any]
) -> dict[str, Any]:
    status = handler.status_code
    files = handler.opt.get("files")
    content = {kind: {} for kind in files} if files else {"application/json": {"schema": known[_answer(handler)]}}
    headers = HEADERS.get(status, {}) | ({} if method == "get" else REPLAYED)
    if method in ("get", "put") and not files:
        headers = headers | {"ETag": {**TAG, "required": True}}
    words = operation.get("description") or HTTPStatus(status).phrase
    found = {str(status): {"description": words, "headers": headers, "content": content}}
    if method == "get":
        found["304"] = {"description": HTTPStatus.NOT_MODIFIED.phrase, "headers": {"ETag": TAG}}
    return found


def _refused(method: str, path: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    """What a call of this kind may be refused with."""
    statuses = {401, 403, 429, 503}
    if "{" in path:
        statuses |= {404}
    if any(one["in"] == "query" for one in operation["parameters"]):
        statuses |= {400, 404, 422}
    if method != "get":
        statuses |= {400, 404, 409, 422}
    if "requestBody" in operation:
        statuses |= {408, 413, 415}
    if method == "put":
        statuses |= {412, 428}
    return {str(one): {"$ref": f"#/components/responses/{one}"} for one in sorted(statuses)}


def _refusals(problem: Any) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": problem}}
    statuses = (400, 401, 403, 404, 408, 409, 412, 413, 415, 422, 428, 429, 503)
    return {
        str(one): {"description": HTTPStatus(one).phrase, "headers": HEADERS.get(one, {}), "content": content}
        for one in statuses
    }


# links ---------------------------------------------------------------------------------------------------------------


def _made(paths: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Where something is made, the parameter that its id is, and each call about it: /needs, need_id, …"""
    for path in paths:
        if "post" not in paths[path] or "201" not in paths[path]["post"]["responses"]:
            continue
        for other, operations in paths.items():
            inside = re.fullmatch(re.escape(path) + r"/\{(\w+)\}(/[a-z-]+)*", other)
            if inside and inside[1].endswith("_id"):
                yield from ((path, inside[1], operation) for operation in operations.values())


def _link(made: dict[str, Any], name: str, child: Mapping[str, Any]) -> None:
    links = made["responses"]["201"].setdefault("links", {})
    links[child["operationId"]] = {"operationId": child["operationId"], "parameters": {name: "$response.body#/id"}}


def _prune(description: dict[str, Any]) -> None:
    """Drop schemas that nothing refers to: Litestar's of bodies and answers."""
    schemas = description["components"]["schemas"]
    wanted: set[str] = set()
    todo = [description["paths"], description["components"]["responses"]]
    while todo:
        found = set(re.findall(r'"#/components/schemas/([^"]+)"', msgspec.json.encode(todo.pop()).decode())) - wanted
        wanted |= found
        todo += [schemas[name] for name in found]
    description["components"]["schemas"] = {name: one for name, one in schemas.items() if name in wanted}
