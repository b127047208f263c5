"""What is sent to the search server, and how its answers are understood. tests/search runs against a real one."""

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.engine import Between, IndexName, NoneOf, OneOf, Query
from search.errors import EngineUnavailable, IndexMissing, SettingsOutdated, WrongKey
from search.meilisearch import MeilisearchEngine, search_key, shape
from search.settings import SCHEMAS, Language
from search.sounds import Sounds
from tests.search.recording import Server, recording
from tests.search.world import MEDIATION, PATENT

SCHEMA = SCHEMAS[IndexName.OFFERINGS]


@given(st.text())
def test_keywords_come_back_as_they_were(value: str) -> None:
    stored = shape.encode(value)
    assert shape.decode(stored) == value
    assert stored.isascii()
    assert not set(stored) & set("\"'\\ ,[]()=<>!")
    assert stored == stored.lower()


@given(st.text(), st.text())
def test_no_two_ids_share_one(one: str, other: str) -> None:
    assert (shape.safe_id(one) == shape.safe_id(other)) == (one == other)


def test_ids_are_left_as_they_are_where_they_may_be() -> None:
    assert shape.safe_id("SZ-2024-01") == "SZ-2024-01"
    assert shape.safe_id("甲") == "_e794b2"


def test_filters_are_expressions_that_values_cannot_leave() -> None:
    wanted = (
        OneOf("right", ("patent", '" OR id EXISTS OR x = "')),
        NoneOf("stage", ("创造",)),
        OneOf("city", ()),
        Between("promised_days", 1, 5),
        Between("promised_days", None, -3),
        Between("satisfaction"),
    )
    assert shape.filters(wanted) == [
        'right IN ["patent", "%22%20%4f%52%20id%20%45%58%49%53%54%53%20%4f%52%20x%20%3d%20%22"]',
        'stage NOT IN ["%e5%88%9b%e9%80%a0"]',
        "city IN []",
        "promised_days >= 1 AND promised_days <= 5",
        "promised_days <= -3",
        "satisfaction EXISTS",
    ]


def test_no_filter_asks_for_a_value_that_the_server_would_choke_on() -> None:
    assert shape.filters((OneOf("right", ("x" * 468, "x" * 469)), NoneOf("right", ("专" * 60,)))) == [
        f'right IN ["{"x" * 468}"]',
        "right NOT IN []",
    ]


def test_settings_name_only_fields_that_documents_have() -> None:
    settings = shape.settings(SCHEMA, Language(synonyms=lambda: (("商标", "Trademark", "牌子"),)))
    stored = shape.convert(MEDIATION.document(), SCHEMA, Sounds({})) | {"promised_days": 1, "satisfaction": 1}
    for part in ("searchableAttributes", "displayedAttributes", "filterableAttributes", "sortableAttributes"):
        assert set(settings[part]) <= set(stored), part
    assert settings["searchableAttributes"][:2] == ["title_words", "title"]
    assert settings["rankingRules"][0] == "sort"
    assert settings["rankingRules"][-1] == "tie:asc"
    assert settings["synonyms"]["trademark"] == ["商标", "牌子"]


def test_a_document_carries_words_and_sounds_beside_its_texts() -> None:
    sounds = Sounds({"专": "zhuan", "利": "li"})
    stored = shape.convert(PATENT.document(), SCHEMA, sounds)
    assert stored["title"] == PATENT.title
    assert stored["title_words"].split() == ["专利", "申请", "专利申请", "受理"]
    assert stored["sounds"].split()[0] == "zuanli"
    assert "zl" in stored["initials"].split()
    assert "aliases" not in stored
    assert stored["by_promised_limit"] < stored["by_satisfaction"] + 2**31


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that is no Meilisearch, but can say what one says."""
    with recording() as told:
        yield told


SEARCH = Query(
    index=IndexName.OFFERINGS, text='专利 "申请" -受理', filters=(OneOf("right", ("patent",)),), facets=("right",)
)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "index_not_found", IndexMissing),
        (403, "invalid_api_key", WrongKey),
        (401, "missing_authorization_header", WrongKey),
        (400, "invalid_search_filter", SettingsOutdated),
        (400, "bad_request", EngineUnavailable),
        (503, "too_many_search_requests", EngineUnavailable),
        (500, None, EngineUnavailable),
    ],
)
async def test_errors_are_told_as_ours(server: Server, status: int, code: str | None, error: type[Exception]) -> None:
    server.answer = lambda *_: (status, {"message": "no", "code": code})
    with pytest.raises(error):
        await MeilisearchEngine(server.url, "key", Language()).search(SEARCH)


@pytest.mark.anyio
@pytest.mark.parametrize("answer", [b"", b"<html>", b"{}", b"[]", b'{"results": []}'])
async def test_something_else_at_the_address_is_told(server: Server, answer: bytes) -> None:
    server.answer = lambda *_: (200, answer)
    with pytest.raises(EngineUnavailable):
        await MeilisearchEngine(server.url, "key", Language()).search(SEARCH)


@pytest.mark.anyio
async def test_a_server_that_is_gone_is_told() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(EngineUnavailable):
        await MeilisearchEngine(gone, "key", Language()).search(SEARCH)
    with pytest.raises(EngineUnavailable):
        await search_key(gone, "key")


@pytest.mark.anyio
async def test_the_usual_search_is_one_request_without_syntax_in_it(server: Server) -> None:
    hit = {
        "key": "7",
        "title": "专利的申请",
        "summary": "éé专利",
        "_rankingScore": 0.5,
        "_matchesPosition": {"summary": [{"start": 4, "length": 6}]},
    }
    page = {"hits": [hit], "totalHits": 1}
    counted = {"hits": [], "totalHits": 1, "facetDistribution": {"right": {"%50": 1, "patent": 2}}}
    server.answer = lambda *_: (200, {"results": [page, counted]})
    results = await MeilisearchEngine(server.url, "key", Language()).search(SEARCH)
    assert [one.id for one in results.hits] == ["7"]
    assert [piece.text for piece in results.hits[0].snippets["summary"] if piece.hit] == ["专利"]
    assert results.facets == {"right": {"patent": 2, "P": 1}}
    ((_, path, body),) = server.asked
    assert path == "/multi-search"
    assert isinstance(body, dict)
    first, second = body["queries"]
    assert first["q"] == "专利 申请 受理"
    assert (first["filter"], second["filter"]) == (['right IN ["patent"]'], [])
    assert second["facets"] == ["right"]


@pytest.mark.anyio
async def test_the_search_key_is_made_once(server: Server) -> None:
    key = {"uid": "u", "key": "secret", "description": None, "actions": ["search"], "indexes": [], "createdAt": None}
    key |= {"createdAt": "2026-11-22T00:00:00.5Z", "updatedAt": "2026-11-22T00:00:00.5Z", "expiresAt": None}
    server.answer = lambda method, *_: (201, key) if method == "POST" else (404, {"code": "api_key_not_found"})
    assert await search_key(server.url, "master") == "secret"
    _, _, asked = server.asked[-1]
    assert isinstance(asked, dict)
    assert (asked["actions"], asked["indexes"]) == (["search"], ["zhipei-*"])
    server.answer = lambda *_: (200, key)
    assert await search_key(server.url, "master") == "secret"
    assert server.asked[-1][0] == "GET"
