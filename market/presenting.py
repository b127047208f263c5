"""Words and numbers as a reader of a page wants them; the filters and globals of all templates."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from jinja2 import Environment
from litestar import Request
from litestar.datastructures import CacheControlHeader
from msgspec import structs

from market.accounts.model import ROLE_NAMES
from market.calendars.model import ZONE, Calendar
from market.catalogue.model import ITEM_LIST_NAMES, RIGHT_NAMES, STAGE_NAMES, Limit
from market.matches import model as matches
from market.needs import model as needs
from market.ratings import model as ratings
from market.ratings.figures import Tally

STATIC = Path(__file__).parent / "static"
STATIC_CACHE = CacheControlHeader(public=True, max_age=31_536_000, immutable=True)
WEEKDAYS = "一二三四五六日"
LIMIT_UNITS = {"working_day": "{} 个工作日", "month": "{} 个月", "instant": "即时办结"}
MISSING_NAMES = {
    "what": "具体要办什么事",
    "right": "涉及专利、商标还是其他权利",
    "goal": "希望达到什么目的",
    "by_when": "什么时候要",
    "contact": "怎么联系您",
}
"""What a need's text may lack, in words; the keys are matching's gaps."""
TOWARDS_INSTITUTION = frozenset(
    {
        matches.MatchAction.PROPOSE,
        matches.MatchAction.OVERRIDE,
        matches.MatchAction.APPROVE,
        matches.MatchAction.SUPERSEDE,
    }
)
"""Steps whose words ask for the institution's name."""
ASSIGNING = frozenset({matches.MatchAction.OVERRIDE, matches.MatchAction.APPROVE})
"""Steps of a match that tell more than the need's own step."""
NAMES = {
    "ITEM_LIST_NAMES": ITEM_LIST_NAMES,
    "LEVEL_NAMES": ratings.LEVEL_NAMES,
    "MISSING_NAMES": MISSING_NAMES,
    "RIGHT_NAMES": RIGHT_NAMES,
    "ROLE_NAMES": ROLE_NAMES,
    "STAGE_NAMES": STAGE_NAMES,
}


def install(environment: Environment) -> None:
    """Give templates their filters and names."""
    filters = {"day": day, "month": month, "moment": moment, "left": left, "late": late, "limit": limit}
    filters |= {"event": event, "story": story, "tally": tally, "json": json}
    environment.filters.update(filters)
    environment.globals.update(NAMES, asset=assets(STATIC), link=link)


def assets(static: Path) -> Callable[[str], str]:
    """The address of a built asset by its source's name. `make setup` builds them; `zhipei doctor` misses them."""
    manifest = static / "dist" / "manifest.json"
    built = msgspec.json.decode(manifest.read_bytes(), type=dict[str, str]) if manifest.exists() else {}
    return lambda name: "/static/" + built.get(name, f"dist/{name}")


def link(request: Request[Any, Any, Any], **changes: object) -> str:
    """This page with other parameters; None leaves one out. Whatever changes, the list starts again."""
    kept = {name: value for name, value in request.query_params.dict().items() if name != "cursor"}
    query = urlencode({name: value for name, value in (kept | changes).items() if value is not None}, doseq=True)
    return f"{request.url.path}?{query}" if query else request.url.path


def day(value: date | datetime) -> str:
    """11月25日（周三）; with the year where it is not this one."""
    local = _local_day(value)
    year = "" if local.year == _today().year else f"{local.year}年"
    return f"{year}{local.month}月{local.day}日（周{WEEKDAYS[local.weekday()]}）"


def month(value: str) -> str:
    """2026年11月, of 2026-11."""
    year, number = value.split("-")
    return f"{year}年{int(number)}月"


def moment(value: datetime) -> str:
    """11月25日 14:05; with the year where it is not this one."""
    local = value.astimezone(ZONE)
    year = "" if local.year == _today().year else f"{local.year}年"
    return f"{year}{local.month}月{local.day}日 {local:%H:%M}"


def left(due: datetime, calendar: Calendar) -> str:
    """还剩 2 个工作日, 今天到期, 已超 1 个工作日."""
    days = calendar.working_days_between(_today(), _local_day(due))
    if late(due):
        return f"已超 {-days} 个工作日" if days < 0 else "刚刚到期"
    return f"还剩 {days} 个工作日" if days > 0 else "今天到期"


def late(due: datetime) -> bool:
    """Whether it is past."""
    return due < datetime.now(UTC)


def limit(value: Limit | int | None) -> str:
    """A time limit in words; an int is working days. None is unknown, never zero."""
    if value is None:
        return "未载明时限"
    if isinstance(value, int):
        value = Limit(value, "working_day" if value else "instant")
    return LIMIT_UNITS[value.unit].format(value.value)


def json(value: object) -> str:
    """For an attribute that a script reads."""
    return msgspec.json.encode(value).decode()


def event(step: needs.Event) -> str:
    """What was done, in words."""
    if step.machine == "need":
        return needs.ACTION_NAMES[needs.NeedAction(step.action)]
    if step.machine == "rectification":
        return ratings.ACTION_NAMES[ratings.RectificationAction(step.action)]
    if step.machine == "rating":
        words = ratings.RATING_ACTION_NAMES[ratings.RatingAction(step.action)]
        level = step.data.get("level")
        return f"{words}：{ratings.LEVEL_NAMES[level]}" if level else words
    action = matches.MatchAction(step.action)
    words = matches.ACTION_NAMES[action]
    return f"{words}「{step.institution_name}」" if action in TOWARDS_INSTITUTION else words


def story(events: Iterable[needs.Event]) -> Iterator[needs.Event]:
    """One step for what was done at once: a need and its match move together, which a reader takes for one thing."""
    for _, together in groupby(events, key=lambda step: (step.at, step.actor_name)):
        steps = list(together)
        told = next((step for step in reversed(steps) if step.action in ASSIGNING and step.match_id), steps[0])
        note = next((step.note for step in steps if step.note), "")
        data = {name: value for step in steps for name, value in step.data.items()}
        yield structs.replace(told, note=note, data=data)


def tally(counts: Iterable[int]) -> Tally:
    """An offering's ratings by level, as figures."""
    one, two, three, four, five = counts
    return Tally((one, two, three, four, five))


def _today() -> date:
    return datetime.now(ZONE).date()


def _local_day(value: date | datetime) -> date:
    return value.astimezone(ZONE).date() if isinstance(value, datetime) else value
