"""Every word of ours in Chinese and English (market/i18n.py says how); files not yet done are listed, and get fewer."""

import ast
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jinja2 import Environment

from infra import messages
from market import presenting
from market.catalogue.model import Limit, RightKind
from market.errors import Conflict, InvalidInput
from market.forms import explain
from market.i18n import Words, _, _n, known, lang, preferred, speaking
from market.needs.model import STATE_NAMES, NeedState

LIST = Path(__file__).with_name("not_yet_translated.txt")
NOT_YET = set(LIST.read_text("utf-8").split())
SOURCES = dict(messages.sources())
DONE = {name: found for name, found in SOURCES.items() if name not in NOT_YET}
NAMES = re.compile(r"%\(\w+\)s|\{\w*\}")
QUOTED = re.compile("“[^”]*”")
"""What English quotes may be Chinese: what has to be typed so."""


def test_what_is_not_yet_translated_is_listed_and_nothing_else() -> None:
    bare = {name for name, found in SOURCES.items() if found.bare}
    assert {f"{name}:{SOURCES[name].bare[0]}" for name in bare - NOT_YET} == set(), "wrap these words (market/i18n.py)"
    assert NOT_YET - bare == set(), f"done: take them out of {LIST.name}"


def test_the_list_is_sorted() -> None:
    lines = LIST.read_text("utf-8").splitlines()
    assert lines == sorted(set(lines))


def test_every_message_of_what_is_done_has_its_english() -> None:
    catalogue = messages.read()
    for name, found in DONE.items():
        for text in found.plain | found.counted:
            message = catalogue.get(text)
            assert message, f"{name}: {text}: run make messages"
            assert all(messages.forms(message)), f"{name}: {text}: has no English"


def test_the_catalogue_is_as_make_messages_leaves_it() -> None:
    assert messages.written(messages.renewed(messages.read())) == messages.CATALOGUE.read_bytes()


@pytest.mark.parametrize("message", [one for one in messages.read() if one.id], ids=str)
def test_a_translation_keeps_placeholders_and_markup_and_leaves_no_chinese(message: messages.Message) -> None:
    text = message.id if isinstance(message.id, str) else message.id[0]
    for form in filter(None, messages.forms(message)):
        assert set(NAMES.findall(form)) == set(NAMES.findall(text))
        assert sorted(re.findall(r"<[^>]*>", form)) == sorted(re.findall(r"<[^>]*>", text))
        assert not messages.HAN.search(QUOTED.sub("", form))


def test_nothing_hides_the_marker() -> None:
    for name in SOURCES:
        if name.endswith(".html"):
            assert "set _ =" not in (messages.ROOT / name).read_text("utf-8"), name
        if name.endswith(".py") and name != "market/i18n.py":
            tree = ast.parse((messages.ROOT / name).read_text("utf-8"))
            imported = {one.asname or one.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
                        for one in node.names}  # fmt: skip
            if "_" in imported:
                stored = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Name)
                          and node.id == "_" and isinstance(node.ctx, ast.Store)]  # fmt: skip
                taken = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.arg) and node.arg == "_"]
                assert stored + taken == [], name


def test_the_scan_finds_what_is_bare_in_python() -> None:
    source = '''"""模块说明"""
A = "裸"
B = _("包")
C = f"裸{A}"
D = Words({1: "词"})
E = re.compile("读")  # not translated: what people type
def f():
    """说明"""
    return _n("{n} 项", 2), N_("记")
'''
    found = messages.in_python(source)
    assert found.bare == [2, 4]
    assert found.plain == {"包", "词", "记"}
    assert found.counted == {"{n} 项"}


def test_the_scan_finds_what_is_bare_in_templates() -> None:
    source = """{# 注释 #}<p title="裸">x</p>
{{ _("包") }}{{ f("裸") }}
{% trans %}
  整  <b>句</b>
{% endtrans %}
{% trans n=m %}{{ n }} 个{% pluralize %}{{ n }} 个{% endtrans %}
"""
    found = messages.in_template(source)
    assert found.bare == [1, 2]
    assert found.plain == {"包", "整  <b>句</b>"}
    assert found.counted == {"%(n)s 个"}


def test_words_are_looked_up_when_they_are_shown() -> None:
    assert STATE_NAMES[NeedState.COMPLETED] == "已办结"
    with speaking("en"):
        assert STATE_NAMES[NeedState.COMPLETED] == "Completed"
        assert dict(Words({1: "登录", 2: "没有这句话的译文"})) == {1: "Log in", 2: "没有这句话的译文"}
        assert str(Conflict()) == "This has just changed. Please reload the page and try again."
        assert InvalidInput("说过的话").detail == "说过的话"
        assert explain("Expected `str` of length <= 9") == "At most 9 characters. Please shorten it."
    assert lang() == "zh"


@pytest.mark.parametrize(
    ("n", "zh", "en"),
    [(1, "还剩 1 个工作日", "1 working day left"), (2, "还剩 2 个工作日", "2 working days left")],
)
def test_numbers_have_their_words(n: int, zh: str, en: str) -> None:
    assert _n("还剩 {n} 个工作日", n) == zh
    with speaking("en"):
        assert _n("还剩 {n} 个工作日", n) == en


def test_days_are_written_as_the_language_does() -> None:
    then = datetime(2025, 11, 26, 6, 5, tzinfo=UTC)
    assert presenting.day(then) == "2025年11月26日（周三）"
    assert presenting.moment(then) == "2025年11月26日 14:05"
    assert presenting.month("2026-09") == "2026年9月"
    assert presenting.number(12345.5) == "12,345.5"
    assert presenting.limit(Limit(9, "month")) == "9 个月"
    with speaking("en"):
        assert presenting.day(then) == "Wed 26 Nov 2025"
        assert presenting.moment(then) == "26 Nov 2025 14:05"
        assert presenting.month("2026-09") == "September 2026"
        assert presenting.limit(Limit(1, "month")) == "1 month"
        assert presenting.listed(presenting.word(one, {1: "A", 2: "B"}) for one in (1, 2)) == "A, B"


def test_templates_speak_and_escape() -> None:
    environment = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    presenting.install(environment)
    source = """{{ _("停用 {name}", name=x) }} {% trans n=2 %}<b>{{ n }}</b>{% pluralize %}<b>{{ n }}</b>{% endtrans %}
{% trans query=x %}已有账号？<a href="/login{{ query }}">直接登录</a>{% endtrans %}
{{ RIGHT_NAMES[right] }} {{ lang() }}"""
    template = environment.from_string(source)
    with speaking("en"):
        html = template.render(x="<&>", right=RightKind.PATENT)
    assert "Revoke &lt;&amp;&gt; <b>2</b>" in html
    assert 'Already registered? <a href="/login&lt;&amp;&gt;">Log in</a>\nPatents en' in html


def test_accept_language_is_read_as_written() -> None:
    assert preferred("fr, EN;q=0.5, zh;q=0.4") == "en"
    assert preferred("en;q=lots, ;;, en;q=9") == "zh"
    assert preferred("") == "zh"
    assert [known(text) for text in ("en", "zh", "fr", None)] == ["en", "zh", None, None]


def test_braces_without_values_mean_nothing() -> None:
    assert _("{没有}") == "{没有}"
