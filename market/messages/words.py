"""The words of messages, put together when one is read or sent. data/messages.json has them in both languages.

Placeholders: {about} the need, rating, item, supervision or ledger; {by} until when; {institution}; {node}; {limit}
what is limited.
Titles are subjects of letters: nobody's name stands there.
"""

from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from typing import Any

import msgspec
from babel.dates import format_date
from msgspec import Struct

from market.calendars.model import ZONE
from market.deadlines.model import KIND_NAMES, LimitKind
from market.i18n import LOCALES, Words, _, lang, speaking
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


STEP_NAMES: Mapping[str, str] = Words({"noticed": "方案提交", "planned": "核查", "checked": "最后办结"})
"""What a supervision awaits in each state, as its clocks are told of."""


def render(kind: str, need_id: int | None, data: Mapping[str, Any], language: Lang) -> Text:
    """A message in words. What an old one did not keep is left open rather than guessed."""
    text = WORDS[kind][language]
    with speaking(language):
        values = {
            "about": about(need_id, data),
            "by": by(data.get("due")),
            "institution": data.get("institution") or _("服务机构"),
            "node": data.get("node") or _("骨干节点"),
            "limit": _limit(data["limit"]) if data.get("limit") else "",
        }
        # Whoever filed for somebody at the counter hears what that somebody is told.
        more = _("这条需求是您在窗口登记的，请转告当事人。") if data.get("counter") else ""
    body = text.body.format_map(values)
    return Text(_first_upper(text.title.format_map(values)), _first_upper(_joined(body, more, language)))


def _joined(body: str, more: str, language: Lang) -> str:
    return f"{body} {more}" if more and language == "en" else body + more


def _limit(name: str) -> str:
    return STEP_NAMES[name] if name in STEP_NAMES else KIND_NAMES[LimitKind(name)]


def about(need_id: int | None, data: Mapping[str, Any]) -> str:
    """What it is about, in words that give away no more than the reader was told."""
    if data.get("item"):
        return _("事项「{name}」", name=data["item"])
    if data.get("supervision_id"):
        return _("督导 {number} 号", number=data["supervision_id"])
    if data.get("period"):
        year, month = data["period"].split("-")
        return _("{year}年{month}月的台账", year=year, month=int(month))
    return _("一条评价") if need_id is None else _("需求 {number} 号", number=need_id)


def by(due: str | None) -> str:
    """Until when: 11月25日（周三）前, by Wed 25 Nov; of another year with the year."""
    if due is None:
        return _("尽快")
    day = datetime.fromisoformat(due).astimezone(ZONE).date()
    pattern = _("M月d日（EEE）") if day.year == datetime.now(ZONE).year else _("y年M月d日（EEE）")
    return _("{day}前", day=format_date(day, pattern, locale=LOCALES[lang()]))


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]
