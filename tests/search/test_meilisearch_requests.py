"""Every request to the search server against its own description (OpenAPI), which lies beside the repository."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema_rs
import pytest

from search.engine import NEARNESS, Between, IndexName, NoneOf, OneOf, Query
from search.meilisearch import MeilisearchEngine, MeilisearchWriter, search_key
from search.settings import SCHEMAS
from tests.search import world
from tests.search.conftest import LANGUAGE, batches
from tests.search.recording import Server, recording

pytestmark = pytest.mark.anyio
OFFERINGS = IndexName.OFFERINGS
DESCRIPTION = Path(__file__).parents[2].parent / "shared/reference/meilisearch-openapi.json"
NOW = "2026-11-22T00:00:00.5Z"
TASK = {"uid": 7, "taskUid": 7, "indexUid": "x", "status": "succeeded", "type": "any", "enqueuedAt": NOW}
KEY = {"uid": "u", "key": "secret", "actions": ["search"], "indexes": [], "createdAt": NOW, "updatedAt": NOW}
KEY |= {"name": None, "description": None, "expiresAt": None}


def answer(method: str, path: str, body: Any) -> tuple[int, object]:
    """What a server says that holds an older index and finds nothing by all words at once."""
    path = urlsplit(path).path
    match method, path.split("/")[1:]:
        case "POST", ["multi-search"]:
            return 200, {"results": [found(query) for query in body["queries"]]}
        case "GET", ["indexes"]:
            older = {"uid": "zhipei-offerings-00000000", "createdAt": NOW, "updatedAt": NOW, "primaryKey": "id"}
            return 200, {"results": [older], "offset": 0, "limit": 1_000, "total": 1}
        case "GET", ["indexes", _]:
            return 200, {"uid": "x", "createdAt": NOW, "updatedAt": NOW, "primaryKey": "id"}
        case "GET", ["indexes", _, "stats"]:
            return 200, {"numberOfDocuments": 6, "isIndexing": False, "fieldDistribution": {}}
        case "POST", ["indexes", _, "documents", "fetch"]:
            return 200, {"results": [{"key": "1", "digest": "d"}], "offset": 0, "limit": 1_000, "total": 1}
        case "GET", ["keys", _]:
            return 404, {"message": "none", "code": "api_key_not_found", "type": "invalid_request", "link": ""}
        case "POST", ["keys"]:
            return 201, KEY
        case _:
            return 200, TASK


def found(query: dict[str, Any]) -> dict[str, Any]:
    """Something for every query but those that want all words."""
    hit = {"key": "1", "title": world.PATENT.title, "_rankingScore": 0.5}
    return {"hits": [hit], "totalHits": int("matchingStrategy" not in query)}


@pytest.fixture
def server() -> Iterator[Server]:
    with recording() as told:
        told.answer = answer
        yield told


async def ask_for_everything(url: str) -> None:
    """All that the engine and the writer ever ask for."""
    await search_key(url, "master")
    writer, engine = MeilisearchWriter(url, "master", LANGUAGE), MeilisearchEngine(url, "key", LANGUAGE)
    for index in IndexName:
        await writer.rebuild(index, batches([world.PATENT.document()] if index is OFFERINGS else []))
    await writer.apply(OFFERINGS, [one.document() for one in world.OFFERINGS], ["8", "甲 /乙"])
    filters = (OneOf("right", ("patent", 'a" OR b')), NoneOf("stage", ()), Between("promised_days", -1, 5))
    typed = (
        "",
        "专利 申请",
        "专力申请",
        "zhuanlishenqing",
        "zlsq",
        "licesning",
        '"引号" -减号',
        "怎么办",
        "专利" * 250,
    )
    for text in typed:
        for order in ({}, {"sort": "promised_limit"}, {"sort": NEARNESS, "near": "440305"}):
            query = Query(index=OFFERINGS, text=text, filters=filters, facets=SCHEMAS[OFFERINGS].facets, **order)
            await engine.search(query)
        await engine.suggest(text, list(IndexName))
        await engine.recall(OFFERINGS, text, filters)
    await engine.stats(OFFERINGS)
    await engine.digests(OFFERINGS)


class Described:
    """The server's description of its requests."""

    def __init__(self, path: Path) -> None:
        self._whole = json.loads(path.read_bytes())
        # The description says an object; the server takes, and its own examples show, a list.
        self._whole["components"]["schemas"]["AttributePatterns"] = {"type": "array", "items": {"type": "string"}}

    def wrong(self, method: str, path: str, body: object) -> list[str]:
        """What is wrong with a request."""
        url = urlsplit(path)
        for template, operations in self._whole["paths"].items():
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), url.path) and method.lower() in operations:
                return self._against(operations[method.lower()], dict(parse_qsl(url.query)), body)
        return [f"no such request: {method} {path}"]

    def _against(self, operation: dict[str, Any], given: dict[str, str], body: object) -> list[str]:
        known = {one["name"] for one in operation.get("parameters", [])}
        said = [f"unknown parameter {name}" for name in given if name not in known]
        if "requestBody" not in operation:
            return said  # the client sends "null" along with a DELETE
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        ref = schema.get("$ref", "").rpartition("/")[2]
        properties = self._whole["components"]["schemas"].get(ref, {}).get("properties")
        if properties is not None and isinstance(body, dict):
            said += [f"unknown field {name}" for name in body if name not in properties]
        check = jsonschema_rs.validator_for({"components": self._whole["components"], **schema})
        return said + [f"{error.instance_path}: {error.message}" for error in check.iter_errors(body)]


@pytest.mark.skipif(not DESCRIPTION.exists(), reason="the server's description is not here")
async def test_requests_are_those_the_server_describes(server: Server) -> None:
    described = Described(DESCRIPTION)
    assert described.wrong("POST", "/multi-search", {"queries": [{"q": "x"}]})
    assert described.wrong("PATCH", "/indexes/x/settings", {"stopwords": []})
    assert described.wrong("GET", "/indexes?size=1", None)
    await ask_for_everything(server.url)
    assert {path.split("/")[1].partition("?")[0] for _, path, _ in server.asked} == {
        "indexes",
        "keys",
        "multi-search",
        "swap-indexes",
        "tasks",
    }
    for method, path, body in server.asked:
        assert not described.wrong(method, path, body), (method, path, body)


async def test_one_search_and_its_way_through_all_fallbacks_stay_few_requests(server: Server) -> None:
    engine = MeilisearchEngine(server.url, "key", LANGUAGE)
    await engine.search(Query(index=OFFERINGS, text="专力申请", facets=("right",)))
    assert len(server.asked) <= 12
