"""Words, sounds, slips and highlights of search."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.data import language
from search.distance import distance
from search.highlight import Finds, Marker, merge, snippet
from search.nearness import tiers, windows
from search.parse import STOP_WORDS, Synonyms, Word, join_syllables, parse
from search.sounds import Sounds
from search.text import fold, normalise, parts, runs, spaced, stretches, tokens

SOUNDS = Sounds(language.load_search_sounds())
NO_SYNONYMS = Synonyms(())
TEXT = st.text("专利申请的了abPC1，。 ＡΣß㎏é\u0301\x00", max_size=40)


def words(text: str, synonyms: Synonyms = NO_SYNONYMS) -> list[str]:
    return [word.text for word in parse(text, synonyms)]


def test_every_character_begins_one_token() -> None:
    assert tokens("待处理的PCT 申请") == ["待处", "处理", "理的", "的", "pct", "申请", "请"]
    assert tokens("") == []


@given(TEXT)
def test_a_word_is_found_in_every_text_that_has_it(text: str) -> None:
    assert "专利" not in fold(text) or "专利" in tokens(text)
    assert len(fold(text)) == len(text)


@given(TEXT | st.text("专〇Ａａ１ab1_＿ —“”…、。《（！，～\n", max_size=40))
def test_stretches_are_the_runs_of_the_normalised_text(text: str) -> None:
    assert stretches(text) == [match.groups(default="") for match in runs(normalise(text))]


def test_spaces_out_words_with_those_within_them() -> None:
    assert spaced("待处理PCT") == "处理 待处理 pct"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("申请专利", ["申请", "专利"]),
        ("专利", ["专利"]),
        ("专利权", ["专利权"]),
        ("集成电路", ["集成", "电路"]),
        ("pct1", ["pct1"]),
    ],
)
def test_parts_of_long_words(word: str, expected: list[str]) -> None:
    assert parts(word) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我想给专利加急", ["专利", "加急"]),
        ("怎么办", ["怎么办"]),  # nothing but stop words
        ("专利，专利", ["专利"]),
        ("商标证丢了", ["商标", "证丢"]),  # single characters between stop words belong together
        ("ＰＣＴ申请", ["pct", "申请"]),
        ('-专利 "申请" OR a:b', ["专利", "申请", "b"]),
        ("", []),
    ],
)
def test_reads_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_knows_where_a_slip_may_be() -> None:
    assert parse("商标专让", NO_SYNONYMS) == [Word("商标"), Word("专", run="专让")]


def test_finds_synonyms_as_whole_words() -> None:
    synonyms = Synonyms([("商标", "Trade Mark"), ("pct", "国际专利"), ("商标", "牌子")])
    assert synonyms.of["商标"] == ("trade mark", "牌子")
    assert parse("trade mark注册", synonyms)[0] == Word("trade mark", ("商标",))
    assert words("spct pct", synonyms) == ["spct", "pct"]


def test_stop_words_are_words() -> None:
    assert {"的", "怎么办", "the"} <= STOP_WORDS


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("zhuanlishenqing", (["zuan", "li", "sen", "qin"], "")),
        ("zhuanlish", (["zuan", "li"], "s")),
        ("zuanli", (["zuan", "li"], "")),
        ("xian", (["xian"], "")),
        ("zlsq", None),
        ("logo", None),
        ("专利", None),
        ("a1", None),
        ("", None),
    ],
)
def test_splits_pinyin(typed: str, expected: tuple[list[str], str] | None) -> None:
    assert SOUNDS.split(typed) == expected


@pytest.mark.parametrize("typed", ["zh" * 2_000, "a" * 5_000])
def test_splitting_is_quick_whatever_is_typed(typed: str) -> None:
    SOUNDS.split(typed)


def test_hears_words_as_they_are_said() -> None:
    assert SOUNDS.pairs("纠纷调解，专利") == ["jiufen", "fentiao", "tiaojie", "zuanli"]
    assert SOUNDS.initials("调解A") == "tjA"
    assert SOUNDS.first_letters("专利（调解）") == ["zl", "l", "tj", "j"]
    assert SOUNDS.heard("专%") == ["zuan", None]


def test_joins_syllables_typed_one_by_one() -> None:
    typed = parse("zhuan li 申请 pct", NO_SYNONYMS)
    assert [word.text for word in join_syllables(typed, SOUNDS.is_syllable)] == ["zhuanli", "申请", "pct"]


@pytest.mark.parametrize(
    ("one", "other", "far"),
    [
        ("patent", "patent", 0),
        ("patnet", "patent", 1),
        ("paten", "patent", 1),
        ("pxtxnt", "patent", 2),
        ("ab", "ba", 1),
    ],
)
def test_distance(one: str, other: str, far: int) -> None:
    assert distance(one, other, 2) == distance(other, one, 2) == far
    assert distance(one, other, far - 1) is None if far else True


WORD = st.text("abc", max_size=6)


@given(WORD, WORD, st.integers(0, 3))
def test_distance_is_that_of_the_plain_recursion(one: str, other: str, most: int) -> None:
    def plain(a: str, b: str) -> int:
        if not a or not b:
            return len(a) + len(b)
        costs = [plain(a[1:], b) + 1, plain(a, b[1:]) + 1, plain(a[1:], b[1:]) + (a[0] != b[0])]
        if len(a) > 1 and len(b) > 1 and a[0] == b[1] and a[1] == b[0]:
            costs.append(plain(a[2:], b[2:]) + 1)
        return min(costs)

    far = plain(one[:4], other[:4])
    assert distance(one[:4], other[:4], most) == (far if far <= most else None)


def test_marks_words_sounds_and_first_letters() -> None:
    text = "专利申请受理：ＰＣＴ途径"
    assert Marker(Finds(words=("专利", "申请")), SOUNDS).ranges(text) == [(0, 4)]
    assert Marker(Finds(words=("pc", "ct")), SOUNDS).ranges(text) == [(7, 9)]  # letters from the beginning of a word
    assert Marker(Finds(heard=(("sou", "li"),)), SOUNDS).ranges(text) == [(4, 6)]
    assert Marker(Finds(initials=("sqsl",)), SOUNDS).ranges(text) == [(2, 6)]
    assert Marker(Finds(), SOUNDS).ranges(text) == []


RANGES = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)).map(lambda one: (one[0], sum(one))), min_size=1)


@given(RANGES, st.integers(36, 200))
def test_pieces_are_the_text(ranges: list[tuple[int, int]], length: int) -> None:
    text = "".join(chr(0x4E00 + i) for i in range(length))
    pieces = snippet(text, merge(ranges))
    shown = "".join(piece.text for piece in pieces)
    assert shown.strip("…") in text
    assert (shown == text) == (length <= 110)
    assert [piece for piece in pieces if piece.hit]
    assert all(piece.text for piece in pieces)
    if length <= 110:
        marked = {i for start, end in ranges for i in range(start, end)}
        assert "".join(piece.text for piece in pieces if piece.hit) == "".join(text[i] for i in sorted(marked))


def test_tiers_of_nearness() -> None:
    assert len(tiers("440305")) == 4
    assert len(tiers("440300")) == 3
    assert tiers("000000") == [()]


@given(st.lists(st.integers(0, 9), min_size=1), st.integers(0, 40), st.integers(1, 10))
def test_windows_are_a_page_of_all_tiers_after_each_other(counts: list[int], offset: int, limit: int) -> None:
    every = [(tier, i) for tier, count in enumerate(counts) for i in range(count)]
    found = windows(counts, offset, limit)
    paged = [(tier, i) for tier, (start, size) in enumerate(found) for i in range(start, start + size)]
    assert paged == every[offset : offset + limit]
