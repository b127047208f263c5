"""What every engine does with words: finding, ordering, paging, marking, suggesting, recalling."""

import pytest

from search.documents import tie
from search.engine import (
    MOST_CHARS,
    MOST_HITS,
    NEARNESS,
    Between,
    IndexName,
    NoneOf,
    OneOf,
    Query,
    Results,
    Snippet,
)
from search.errors import PageBeyondEnd, QueryTooLong, UnknownField
from tests.search import world
from tests.search.conftest import Subject
from tests.search.world import ABROAD, MARKUP, MEDIATION, PATENT, PENDING, TRADEMARK

pytestmark = pytest.mark.anyio
OFFERINGS = IndexName.OFFERINGS


@pytest.fixture(scope="module")
async def filled(subject: Subject) -> Subject:
    """The engine with the world in it."""
    await subject.hold(OFFERINGS, [one.document() for one in world.OFFERINGS])
    await subject.hold(IndexName.INSTITUTIONS, [world.CENTRE.document()])
    await subject.hold(IndexName.ITEMS, [world.ITEM.document()])
    await subject.hold(IndexName.NOTICES, [world.NOTICE.document()])
    return subject


async def look(subject: Subject, text: str = "", **wanted: object) -> Results:
    """A search among the offerings."""
    return await subject.engine.search(Query(index=OFFERINGS, text=text, **wanted))  # type: ignore[arg-type]


def ids(results: Results) -> list[int]:
    """Of the hits, in their order."""
    return [int(hit.id) for hit in results.hits]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("专利申请", PATENT),  # words
        ("专利 申请", PATENT),
        ("处理", PENDING),  # within another word
        ("专利申", PATENT),  # the beginning of a word
        ("PC", ABROAD),
        ("lic", ABROAD),
        ("zhuanlishenqing", PATENT),  # pinyin, whole and begun, in one and apart
        ("shangbiaozhu", TRADEMARK),
        ("jiu fen tiao jie", MEDIATION),
        ("zlsq", PATENT),  # first letters
        ("jftj", MEDIATION),
        ("专力申请", PATENT),  # slips of the ear
        ("上标注册", TRADEMARK),
        ("licencing", ABROAD),  # slips of the finger
        ("licesning", ABROAD),
        ("牌子注册", TRADEMARK),  # synonyms
        ("Trademark", TRADEMARK),
        ("著作权", MARKUP),
        ("我想申请专利，应该怎么办呢？", PATENT),  # a sentence
        ("打官司以前", MEDIATION),  # what people call the item
        ("ＰＣＴ", ABROAD),  # full width
        ("pct申请", ABROAD),  # two scripts in one word
        ("商标注册 火星", TRADEMARK),  # not every word is to be had
    ],
)
async def test_finds(filled: Subject, text: str, first: world.OfferingDocument) -> None:
    assert ids(await look(filled, text))[:1] == [first.id]


async def test_all_words_must_be_there_if_they_are_anywhere(filled: Subject) -> None:
    assert ids(await look(filled, "商标 图样")) == [TRADEMARK.id]


async def test_filters_do_not_make_the_words_matter_less(filled: Subject) -> None:
    found = await look(filled, "商标 图样", filters=(OneOf("right", ("patent",)),))
    assert (found.hits, found.total, found.pages) == ([], 0, 1)


async def test_what_is_nowhere_is_not_found(filled: Subject) -> None:
    assert not ids(await look(filled, "火星"))


async def test_corrects_a_slip_and_says_so(filled: Subject) -> None:
    assert (await look(filled, "专力申请")).corrected == "专利申请"
    assert (await look(filled, "专利申请")).corrected is None
    assert (await look(filled, "专力申请", as_typed=True)).corrected is None


@pytest.mark.parametrize("text", ["", "  ", "!?", "\x00", "\ud800", "🙂", '"', "- -"])
async def test_without_a_word_everything_is_found_in_the_order_of_the_hash(filled: Subject, text: str) -> None:
    found = await look(filled, text)
    assert ids(found) == sorted((one.id for one in world.OFFERINGS), key=lambda number: tie(str(number)))
    assert found.total == len(world.OFFERINGS)
    assert all(not hit.snippets for hit in found.hits)


@pytest.mark.parametrize(
    "text",
    ['") OR (title:x', "right = patent", "专利 AND NOT 申请", "-专利", '"申请 专利"', "title:*", "a\\", "(((", "/./"],
)
async def test_nothing_typed_is_syntax(filled: Subject, text: str) -> None:
    found = await look(filled, text, filters=(OneOf("right", ("patent",)),))
    assert {one.id for one in world.OFFERINGS if "patent" in one.rights} >= set(ids(found))
    if "专利" in text:
        assert PATENT.id in ids(found)


async def test_refuses_what_it_cannot_answer(filled: Subject) -> None:
    with pytest.raises(QueryTooLong):
        await look(filled, "专利申请" * 2_500)
    with pytest.raises(UnknownField, match="'colour' cannot be used as facet"):
        await look(filled, facets=("colour",))
    with pytest.raises(UnknownField, match="'place' cannot be used as facet"):
        await look(filled, facets=("place",))
    for one in (OneOf("colour", ("red",)), NoneOf("title", ("x",)), Between("right", 1), OneOf("satisfaction", ("1",))):
        with pytest.raises(UnknownField, match="filter"):
            await look(filled, filters=(one,))
        with pytest.raises(UnknownField, match="filter"):
            await filled.engine.recall(OFFERINGS, "专利", (one,))
    for sort in ("title", "newest", NEARNESS):
        with pytest.raises(UnknownField, match="sort"):
            await look(filled, sort=sort)


async def test_the_longest_text_is_searched(filled: Subject) -> None:
    assert PATENT.id in ids(await look(filled, ("专利申请" * MOST_CHARS)[:MOST_CHARS]))


async def test_sorts(filled: Subject) -> None:
    by_limit = ids(await look(filled, sort="promised_limit"))
    assert (by_limit[0], by_limit[-1]) == (TRADEMARK.id, PENDING.id)
    by_satisfaction = ids(await look(filled, sort="satisfaction"))
    assert by_satisfaction[-2:] == [ABROAD.id, TRADEMARK.id]
    # equals in between come in the order of their hashes
    assert by_satisfaction[:-2] == sorted(by_satisfaction[:-2], key=lambda number: tie(str(number)))


@pytest.mark.parametrize(
    ("near", "order"),
    [
        ("440305", [["440305"], ["440106"], ["110108"]]),
        ("440306", [["440305"], ["440106"], ["110108"]]),
        ("440300", [["440305"], ["440106"], ["110108"]]),
        ("440100", [["440106"], ["440305"], ["110108"]]),
        ("110000", [["110108"], ["440305", "440106"]]),
        ("000000", [["440305", "440106", "110108"]]),
    ],
)
async def test_sorts_by_nearness(filled: Subject, near: str, order: list[list[str]]) -> None:
    region = {one.id: one.institution_region for one in world.OFFERINGS}
    tiers = [[one.id for one in world.OFFERINGS if region[one.id] in tier] for tier in order]
    expected = [sorted(tier, key=lambda number: tie(str(number))) for tier in tiers]
    assert ids(await look(filled, sort=NEARNESS, near=near)) == [number for tier in expected for number in tier]


async def test_nearness_pages_go_through_the_tiers(filled: Subject) -> None:
    whole = ids(await look(filled, sort=NEARNESS, near="440305"))
    pages = [await look(filled, sort=NEARNESS, near="440305", size=2, page=page) for page in (1, 2, 3)]
    assert [number for page in pages for number in ids(page)] == whole
    assert {(page.total, page.pages) for page in pages} == {(6, 3)}


async def test_pages(filled: Subject) -> None:
    pages = [await look(filled, size=4, page=page) for page in (1, 2)]
    assert [len(page.hits) for page in pages] == [4, 2]
    assert {number for page in pages for number in ids(page)} == {one.id for one in world.OFFERINGS}
    assert {(page.total, page.pages) for page in pages} == {(6, 2)}
    for page in (0, -1, 3, MOST_HITS, 10**9):
        with pytest.raises(PageBeyondEnd):
            await look(filled, size=4, page=page)
    with pytest.raises(PageBeyondEnd) as refused:
        await look(filled, "专利申请", page=2)
    assert refused.value.last == 1


def marked(snippet: Snippet) -> list[str]:
    """What is marked."""
    return [piece.text for piece in snippet if piece.hit]


async def test_marks_what_was_found(filled: Subject) -> None:
    (hit,) = (await look(filled, "专利申请 请求书")).hits
    assert marked(hit.snippets["title"]) == ["专利申请"]
    assert "".join(piece.text for piece in hit.snippets["title"]) == PATENT.title
    assert marked(hit.snippets["summary"]) == ["请求书"]
    assert "institution_name" not in hit.snippets
    assert hit.texts["title"] == PATENT.title
    assert "aliases" not in hit.texts


@pytest.mark.parametrize(("text", "mark"), [("zlsq", "专利申请"), ("zhuanli", "专利"), ("专力申请", "专利申请")])
async def test_marks_what_was_found_by_its_sound(filled: Subject, text: str, mark: str) -> None:
    assert mark in marked((await look(filled, text)).hits[0].snippets["title"])


async def test_a_snippet_shows_the_place_of_the_find(filled: Subject) -> None:
    snippet = (await look(filled, "和解协议")).hits[0].snippets["summary"]
    shown = "".join(piece.text for piece in snippet)
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert len(shown) < 100
    assert "".join(marked(snippet)) == "和解协议"


async def test_texts_stay_plain(filled: Subject) -> None:
    hit = (await look(filled, "版权登记")).hits[0]
    assert hit.texts["title"] == MARKUP.title
    assert "".join(piece.text for piece in hit.snippets["title"]) == MARKUP.title
    assert hit.texts["summary"] == MARKUP.summary


async def test_suggests_names(filled: Subject) -> None:
    every = list(IndexName)
    for typed in ("专利", "zhuanli", "zlsq", "专力"):
        found = await filled.engine.suggest(typed, every)
        # the item and the offering have one name, which is suggested once
        assert [one.text for one in found] == ["专利申请受理", "关于专利申请的通知"], typed
    assert marked((await filled.engine.suggest("专利", every))[0].pieces) == ["专利"]
    assert (await filled.engine.suggest("南山", every))[0].index is IndexName.INSTITUTIONS
    assert len(await filled.engine.suggest("专利", every, limit=1)) == 1


@pytest.mark.parametrize("text", ["", "  ", "。", "火星", "x" * 10_000])
async def test_suggests_nothing(filled: Subject, text: str) -> None:
    assert await filled.engine.suggest(text, list(IndexName)) == []


async def test_several_indexes_at_once(filled: Subject) -> None:
    results = await filled.engine.search_many([Query(index=index, text="专利申请") for index in IndexName])
    assert [result.hits[0].id for result in results] == ["1", "1", "X-1", "1"]
    assert await filled.engine.search_many([]) == []


async def test_recalls_by_any_word_of_a_need(filled: Subject) -> None:
    need = "我们公司做了一款扫地机器人，想申请专利保护起来，顺便问一下商标注册要多久。" * 100
    found = await filled.engine.recall(OFFERINGS, need)
    assert {PATENT.id, TRADEMARK.id} == {int(one.id) for one in found[:2]}
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    narrowed = await filled.engine.recall(OFFERINGS, need, (OneOf("right", ("trademark",)), NoneOf("fee", ("paid",))))
    assert [int(one.id) for one in narrowed] == [TRADEMARK.id]
    assert await filled.engine.recall(OFFERINGS, "") == []
    assert await filled.engine.recall(OFFERINGS, "火星") == []
