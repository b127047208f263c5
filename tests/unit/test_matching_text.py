"""Text normalisation and similarity; phrases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from matching.phrases import PhraseCover, WordFinder
from matching.text import MAX_CHARS, Grams, TextIndex, normalise

TEXTS = ["专利申请受理", "注册商标续展", "集成电路布图设计登记", ""]
any_text = st.text(st.characters(), max_size=200)


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("ＬＯＧＯ　注册\t\n商标", "logo 注册 商标"),
        ("专\u200b利\x00申请", "专 利 申请"),
        ("\ud800商标", "商标"),
        ("  \r\n ", ""),
        ("🙂商标", "🙂商标"),
        ("ﷺ" * MAX_CHARS, None),
    ],
)
def test_normalise(raw: str, normal: str | None) -> None:
    if normal is not None:
        assert normalise(raw) == normal
    assert len(normalise(raw)) <= MAX_CHARS


@given(any_text)
def test_normalise_is_stable(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.lists(any_text.map(normalise), max_size=6))
def test_grams_are_what_scikit_learn_makes_of_them(normals: list[str]) -> None:
    grams, rows = Grams.fit(normals)
    if not any(normals):
        assert len(grams) == 0
        return
    peer = TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True, lowercase=False)
    wanted = peer.fit_transform(normals)
    assert grams._places == peer.vocabulary_
    assert np.allclose(rows.toarray(), wanted.toarray(), atol=1e-12)


def test_other_texts_are_compared_as_if_they_had_been_there() -> None:
    index, some = TextIndex.fit(TEXTS), [TEXTS[2], TEXTS[0], "火星", ""]
    query = "商标和专利的登记申请"
    whole = index.similarity(query)
    assert index.over(some).similarity(query).tolist() == pytest.approx([whole[2], whole[0], 0.0, 0.0])
    assert index.over([]).similarity(query).tolist() == []


def test_similar_text_is_nearest() -> None:
    index = TextIndex.fit(TEXTS)
    assert index.similarity("商标快到期了怎么续展").argmax() == 1
    assert index.similarity(TEXTS[0])[0] == pytest.approx(1.0)


@pytest.mark.parametrize("query", ["", " ", "é", "🙂🙂", "龘", "\x00\x01", "\ud800"])
def test_nothing_in_common_is_zero(query: str) -> None:
    assert TextIndex.fit(TEXTS).similarity(query).tolist() == [0.0] * len(TEXTS)


@pytest.mark.parametrize("query", ["专", "专利" * 25_000])
def test_one_character_and_fifty_thousand(query: str) -> None:
    similarity = TextIndex.fit(TEXTS).similarity(query)
    assert similarity[0] > 0
    assert similarity[1] == 0


@pytest.mark.parametrize("texts", [[], [""], ["", "\x00"]])
def test_texts_without_characters(texts: list[str]) -> None:
    assert TextIndex.fit(texts).similarity("专利").tolist() == [0.0] * len(texts)


@given(st.lists(any_text, max_size=4), any_text)
def test_similarity_is_always_a_share(texts: list[str], query: str) -> None:
    similarity = TextIndex.fit(texts).similarity(query)
    assert similarity.shape == (len(texts),)
    assert ((similarity >= 0) & (similarity <= 1)).all()


def test_the_longer_of_overlapping_words_counts() -> None:
    finder = WordFinder([("申请专利", 1), ("专利费减", 2), ("费减备案", 3), ("专利", 4)])
    assert finder.find("申请专利的专利费减") == [1, 2]
    assert finder.find("费减备案") == [3]
    assert finder.find("专利、专利") == [4, 4]


def test_a_word_may_have_several_meanings_and_odd_characters() -> None:
    finder = WordFinder([("C++", "a"), ("c++", "b"), ("", "never")])
    assert finder.find(normalise("会Ｃ++")) == ["a", "b"]
    assert WordFinder[str]([]).find("专利") == []


def test_a_word_does_not_cut_others_in_two() -> None:
    finder = WordFinder([("高企", 1), ("app", 2), ("专利", 3), ("ic", 4)])
    assert finder.find("提高企业的专利意识") == [3]
    assert finder.find("高企认定") == [1]
    assert finder.find("apple app ic设计 pic") == [2, 4]


def test_words_are_rewritten_where_they_stand() -> None:
    finder = WordFinder([("过户", "转让"), ("商标过户", "商标转让"), ("牌子", "品牌")])
    assert finder.rewrite("我的牌子，商标过户", str) == "我的品牌，商标转让"
    assert finder.rewrite("", str) == ""


def test_cover_is_the_best_phrase_in_any_order() -> None:
    cover = PhraseCover.fit([("商标续展", "商标到期"), ("布图设计",), ()])
    whole, none, nameless = cover.share("到期的商标到期")
    assert whole == pytest.approx(1.0)
    assert none == 0
    assert nameless == 0
    assert 0.3 < cover.share("期到标商")[0] < 1.0


def test_cover_of_nothing() -> None:
    assert PhraseCover.fit([(), ("",)]).share("商标").tolist() == [0.0, 0.0]
    assert np.array_equal(PhraseCover.fit([]).share("商标"), np.zeros(0))
