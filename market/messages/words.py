"""The words of messages, put together when one is read or sent. data/messages.json has them in both languages.

Placeholders: {about} the need, rating or item; {by} until when; {institution}; {node}; {limit} what is limited.
Titles are subjects of letters: nobody's name stands there.
"""

from collections.abc import Mapping
from datetime import date, datetime
from importlib.resources import files
from typing import Any

import msgspec
from msgspec import Struct

from market.calendars.model import ZONE
from market.deadlines.model import KIND_NAMES, LimitKind
from matching.types import Lang


class Text(Struct, frozen=True):
    """A message in words."""

    title: str
    body: str


def _shipped() -> Mapping[str, Mapping[Lang, Text]]:
    found = msgspec.json.decode(
        files("market.data").joinpath("messages.json").read_bytes(), type=dict[str, dict[Lang, tuple[str, str]]]
    )
    return {kind: {lang: Text(*words) for lang, words in both.items()} for kind, both in found.items()}


WORDS = _shipped()
"""Kind → language → title and body."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LIMITS_EN: Mapping[LimitKind, str] = {
    LimitKind.FIRST_CONTACT: "first contact",
    LimitKind.MATCH: "the answer",
    LimitKind.ACCEPT: "the institution's decision",
    LimitKind.DELIVER: "the result",
    LimitKind.RECTIFICATION_VERIFY: "verifying a bad rating",
    LimitKind.RECTIFICATION_RECTIFY: "the correction",
    LimitKind.RECTIFICATION_ANSWER: "answering after the correction",
    LimitKind.RECTIFICATION_REVISIT: "the revisit",
    LimitKind.RECTIFICATION_CLOSE: "closing the correction",
}


def render(kind: str, need_id: int | None, data: Mapping[str, Any], lang: Lang) -> Text:
    """A message in words. What an old one did not keep is left open rather than guessed."""
    text = WORDS[kind][lang]
    limit = LimitKind(data["limit"]) if data.get("limit") else None
    english = lang == "en"
    values = {
        "about": about(need_id, data, lang),
        "by": by(data.get("due"), lang),
        "institution": data.get("institution") or ("the institution" if english else "服务机构"),
        "node": data.get("node") or ("the node" if english else "骨干节点"),
        "limit": "" if limit is None else LIMITS_EN[limit] if english else KIND_NAMES[limit],
    }
    return Text(_first_upper(text.title.format_map(values)), _first_upper(text.body.format_map(values)))


def about(need_id: int | None, data: Mapping[str, Any], lang: Lang) -> str:
    """What it is about, in words that give away no more than the reader was told."""
    english = lang == "en"
    if data.get("item"):
        return f"item “{data['item']}”" if english else f"事项「{data['item']}」"
    if need_id is not None:
        return f"need {need_id}" if english else f"需求 {need_id} 号"
    return "a rating" if english else "一条评价"


def by(due: str | None, lang: Lang) -> str:
    """Until when: 11月25日（周三）前, by Wed 25 Nov; of another year with the year."""
    if due is None:
        return "as soon as possible" if lang == "en" else "尽快"
    day = datetime.fromisoformat(due).astimezone(ZONE).date()
    this_year = day.year == datetime.now(ZONE).year
    return _day_en(day, this_year=this_year) if lang == "en" else _day_zh(day, this_year=this_year)


def _day_zh(day: date, *, this_year: bool) -> str:
    year = "" if this_year else f"{day.year}年"
    return f"{year}{day.month}月{day.day}日（周{'一二三四五六日'[day.weekday()]}）前"


def _day_en(day: date, *, this_year: bool) -> str:
    weekday = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[day.weekday()]
    return f"by {weekday} {day.day} {MONTHS[day.month - 1]}" + ("" if this_year else f" {day.year}")


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]
