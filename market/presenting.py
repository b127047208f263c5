"""Words and numbers as a reader of a page wants them; the filters and globals of all templates."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from babel.dates import format_date
from babel.numbers import format_decimal
from jinja2 import Environment
from litestar import Request
from litestar.datastructures import CacheControlHeader
from msgspec import structs

from market.accounts.model import COOKIES, LOOKS, ROLE_NAMES, Look
from market.auth import cookie_name
from market.calendars.model import ZONE, Calendar
from market.catalogue.model import ITEM_LIST_NAMES, RIGHT_NAMES, STAGE_NAMES, Limit
from market.conversations import model as letters
from market.deadlines import model as deadlines
from market.i18n import LANGUAGES, LOCALES, TAGS, Words, _, _n, lang, plural
from market.matches import model as matches
from market.navigation import navigation
from market.needs import model as needs
from market.ratings import model as ratings
from market.ratings.figures import Tally
from market.ratings.scale import LEVEL_NAMES
from market.regions.model import NATION
from market.web import came_from

STATIC = Path(__file__).parent / "static"
STATIC_CACHE = CacheControlHeader(public=True, max_age=31_536_000, immutable=True)
MISSING_NAMES: Mapping[str, str] = Words(
    {
        "what": "具体要办什么事",
        "right": "涉及专利、商标还是其他权利",
        "goal": "希望达到什么目的",
        "by_when": "什么时候要",
        "contact": "怎么联系您",
    }
)
"""What a need's text may lack, in words; the keys are matching's gaps."""
STEPS: Mapping[str, Mapping[Any, str]] = {
    "need": needs.ACTION_NAMES,
    "rectification": ratings.ACTION_NAMES,
    letters.MACHINE: letters.ACTION_NAMES,
}
"""Machines whose actions have words that need nothing added."""
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
    "LEVEL_NAMES": LEVEL_NAMES,
    "MISSING_NAMES": MISSING_NAMES,
    "RIGHT_NAMES": RIGHT_NAMES,
    "ROLE_NAMES": ROLE_NAMES,
    "STAGE_NAMES": STAGE_NAMES,
}


def install(environment: Environment) -> None:
    """Give templates their filters and names, and the words of the reader's language."""
    environment.policies["ext.i18n.trimmed"] = True
    # What {% trans %} calls; it fills %(names)s, and not {names} as ``_`` does.
    environment.install_gettext_callables(_, plural, newstyle=True)  # type: ignore[attr-defined]
    filters: dict[str, Callable[..., Any]] = {"day": day, "month": month, "moment": moment, "iso_day": iso_day}
    filters |= {"full_day": full_day, "clock_time": clock_time}
    filters |= {"left": left, "late": late, "limit": limit, "number": number, "word": word, "listed": listed}
    filters |= {"event": event, "story": story, "tally": tally, "json": json}
    environment.filters.update(filters)
    environment.globals.update(NAMES, asset=assets(STATIC), link=link, toggled=toggled, return_to=return_to)
    environment.globals.update(canonical=canonical)
    environment.globals.update(navigation=navigation, look_of=look_of)
    environment.globals.update(_=_, _n=_n, lang=lang, TAGS=TAGS, LANGUAGES=LANGUAGES)


def assets(static: Path) -> Callable[[str], str]:
    """The address of a built asset by its source's name. `make setup` builds them; `zhipei doctor` misses them."""
    manifest = static / "dist" / "manifest.json"
    built = msgspec.json.decode(manifest.read_bytes(), type=dict[str, str]) if manifest.exists() else {}
    return lambda name: "/static/" + built.get(name, f"dist/{name}")


def link(request: Request[Any, Any, Any], **changes: object) -> str:
    """This page with other parameters; None leaves one out. Whatever changes, the list starts again."""
    kept = {name: value for name, value in request.query_params.dict().items() if name not in ("cursor", "page")}
    query = urlencode({name: value for name, value in (kept | changes).items() if value is not None}, doseq=True)
    return f"{request.url.path}?{query}" if query else request.url.path


def toggled(request: Request[Any, Any, Any], name: str, value: str) -> str:
    """This page with one value of a parameter that takes several put in, or taken out."""
    values = request.query_params.getall(name, [])
    others = [one for one in values if one != value]
    return link(request, **{name: others if value in values else [*values, value]})


def canonical(request: Request[Any, Any, Any]) -> str:
    """The one address of a public page: without filters, order and language; a version keeps its number."""
    version = request.query_params.get("version", "")
    kept = f"?version={version}" if version.isdecimal() else ""
    return f"{request.app.state.services.settings.address}{request.url.path}{kept}"


def return_to(request: Request[Any, Any, Any]) -> str:
    """Where to come back to: this page, or where the form was that it answers; as a path of ours."""
    if request.method == "GET":
        return request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return came_from(request)


def look_of(request: Request[Any, Any, Any]) -> Look:
    """How the reader wants pages to look: what the switches have left in this browser."""
    settings = request.app.state.services.settings
    kept: dict[str, Any] = {name: request.cookies.get(cookie_name(settings, COOKIES[name])) for name in LOOKS}
    return Look(**{name: value for name, value in kept.items() if value in LOOKS[name]})


def day(value: date | datetime) -> str:
    """11月25日（周三）, Wed 25 Nov; with the year where it is not this one."""
    local = _local_day(value)
    return _date(local, _("M月d日（EEE）") if local.year == _today().year else _("y年M月d日（EEE）"))


def full_day(value: date) -> str:
    """2026年11月25日, 25 Nov 2026: for what is read years later."""
    return _date(value, _("y年M月d日"))


def month(value: str) -> str:
    """2026年11月, November 2026, of 2026-11."""
    return _date(date.fromisoformat(f"{value}-01"), _("y年M月"))


def iso_day(text: str) -> str:
    """The day of a moment as events keep it."""
    return day(datetime.fromisoformat(text))


def moment(value: datetime) -> str:
    """11月25日 14:05, 25 Nov 14:05; with the year where it is not this one."""
    local = value.astimezone(ZONE)
    return f"{_date(local.date(), _('M月d日') if local.year == _today().year else _('y年M月d日'))} {local:%H:%M}"


def clock_time(value: datetime) -> str:
    """14:05, below a heading that says the day."""
    return f"{value.astimezone(ZONE):%H:%M}"


def number(value: float) -> str:
    """1,234.5 as the reader's language writes it."""
    return format_decimal(value, locale=LOCALES[lang()])


def left(due: datetime, calendar: Callable[[str], Calendar], region_code: str = NATION) -> str:
    """还剩 2 个工作日, 今天到期, 已超期 1 个工作日, on the region's calendar."""
    days = calendar(region_code).working_days_between(_today(), _local_day(due))
    if late(due):
        return _n("已超期 {n} 个工作日", -days) if days < 0 else _("刚刚到期")
    return _n("还剩 {n} 个工作日", days) if days > 0 else _("今天到期")


def late(due: datetime) -> bool:
    """Whether it is past."""
    return due < datetime.now(UTC)


def limit(value: Limit | int | None) -> str:
    """A time limit in words; an int is working days. None is unknown, never zero."""
    if value is None:
        return _("未载明时限")
    if isinstance(value, int):
        value = Limit(value, "working_day" if value else "instant")
    if value.unit == "instant":
        return _("即时办结")
    return _n("{n} 个月", value.value) if value.unit == "month" else _n("{n} 个工作日", value.value)


def json(value: object) -> str:
    """For an attribute that a script reads."""
    return msgspec.json.encode(value).decode()


def event(step: needs.Event) -> str:
    """What was done, in words."""
    if step.machine in STEPS:
        return STEPS[step.machine][step.action]
    if step.machine == "deadline":
        limit = deadlines.KIND_NAMES[deadlines.LimitKind(step.data["limit"])]
        return deadlines.ACTION_NAMES[deadlines.DeadlineAction(step.action)].format(limit=limit)
    if step.machine == "rating":
        words = ratings.RATING_ACTION_NAMES[ratings.RatingAction(step.action)]
        level = step.data.get("level")
        return _("{step}：{level}", step=words, level=LEVEL_NAMES[level]) if level else words
    action = matches.MatchAction(step.action)
    words = matches.ACTION_NAMES[action]
    if action not in TOWARDS_INSTITUTION:
        return words
    return _("{step}「{institution}」", step=words, institution=step.institution_name)


def story(events: Iterable[needs.Event]) -> Iterator[needs.Event]:
    """One step for what was done at once: a need and its match move together, which a reader takes for one thing.

    What a clock does by itself is a step of its own.
    """
    for _key, together in groupby(events, key=lambda step: (step.at, step.actor_name, _clock(step))):
        steps = list(together)
        told = next((step for step in reversed(steps) if step.action in ASSIGNING and step.match_id), steps[0])
        note = next((step.note for step in steps if step.note), "")
        data = {name: value for step in steps for name, value in step.data.items()}
        yield structs.replace(told, note=note, data=data)


def word(key: Any, names: Mapping[Any, str]) -> str:
    """What a table of words says of ``key``; for ``map``."""
    return names[key]


def listed(words: Iterable[str]) -> str:
    """甲、乙、丙; A, B, C."""
    return _("、").join(words)


def tally(counts: Iterable[int]) -> Tally:
    """An offering's ratings by level, as figures."""
    one, two, three, four, five = counts
    return Tally((one, two, three, four, five))


def _clock(step: needs.Event) -> tuple[str, str] | None:
    """Which step of which clock it is; None where it is none."""
    return (step.action, step.data["limit"]) if step.machine == "deadline" else None


def _date(value: date, pattern: str) -> str:
    """By a pattern of Unicode's, which is a message: each language has its own order."""
    return _formatted(value, pattern, LOCALES[lang()])


@lru_cache(maxsize=4096)
def _formatted(value: date, pattern: str, locale: str) -> str:
    """Kept: on a list the same few days come again and again, and Babel reads its locale anew for each."""
    return format_date(value, pattern, locale=locale)


def _today() -> date:
    return datetime.now(ZONE).date()


def _local_day(value: date | datetime) -> date:
    return value.astimezone(ZONE).date() if isinstance(value, datetime) else value
