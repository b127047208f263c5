"""The ledger counted a second time, in plain Python, one event after the other: what the SQL has to agree with."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from infra.db import Transaction
from market.calendars.model import ZONE
from market.calendars.service import Deadlines
from market.ledger.figures import COUNTS, Figures

EVENTS = """
SELECT e.id, e.match_id, e.machine, e.action, e.from_state, e.to_state, e.at, e.data, m.institution_id, m.item_code,
       m.delivered_on_time, v.region_code
FROM events e JOIN matches m ON m.id = e.match_id JOIN institutions i ON i.id = m.institution_id
JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
WHERE e.id <= $1 ORDER BY e.id
"""
Key = tuple[int, str, str]
Told = tuple[list[str], int | None, int | None]
"""What an event counts as, a rating's level, a delivery's working days."""
HELD = ("approved", "decline_requested", "accepted")
SIMPLE = {
    "approve": "offered",
    "override": "offered",
    "accept": "accepted",
    "decline": "declined",
    "lapse": "lapsed",
    "request_decline": "decline_requested",
    "refuse_decline": "decline_refused",
    "rework": "reworked",
    "confirm": "completed",
}


async def counted(tx: Transaction, deadlines: Deadlines, upto: int = 2**62) -> dict[Key, Figures]:
    """Figures by institution, period and item; "" is all items."""
    events = await tx.fetch(EVENTS, upto)
    return counted_from(events, deadlines)


class Counting:
    """The counts so far, and what is remembered of each match."""

    def __init__(self, withheld: set[int], deadlines: Deadlines) -> None:
        self.withheld, self.deadlines = withheld, deadlines
        self.accepted: dict[int, date] = {}
        self.delivered: set[int] = set()
        self.counts: dict[Key, Counter[str]] = defaultdict(Counter)
        self.levels: dict[Key, Counter[int]] = defaultdict(Counter)
        self.days: dict[Key, Counter[int]] = defaultdict(Counter)

    def take(self, one: Mapping[str, Any]) -> None:
        day = one["at"].astimezone(ZONE).date()
        periods = (f"{day:%Y-%m}", f"{day.year}Q{(day.month + 2) // 3}", str(day.year))
        keys = [(one["institution_id"], period, item) for period in periods for item in (one["item_code"], "")]
        told = {"match": self.of_match, "rating": self.of_rating}.get(one["machine"], self.of_other)
        found, level, spent = told(one, day)
        for key in keys:
            self.counts[key].update(found)
            if level is not None:
                self.levels[key][level] += 1
            if spent is not None:
                self.days[key][spent] += 1

    def of_match(self, one: Mapping[str, Any], day: date) -> Told:
        match, action = one["match_id"], one["action"]
        if action == "accept":
            self.accepted[match] = day
        if action == "grant_decline":
            return ["declined", "decline_granted"], None, None
        if action in ("supersede", "cancel") and one["from_state"] in HELD:
            return ["taken_back"], None, None
        if action != "deliver" or match in self.delivered:
            return [SIMPLE[action]] if action in SIMPLE else [], None, None
        self.delivered.add(match)
        on_time = one["data"].get("on_time", one["delivered_on_time"])
        calendar = self.deadlines.calendar(one["region_code"])
        spent = min(max(calendar.working_days_between(self.accepted[match], day), 0), 250)
        return ["delivered", "on_time"] if on_time else ["delivered"], None, spent

    def of_rating(self, one: Mapping[str, Any], _day: date) -> Told:
        if one["action"] != "rate":
            return [], None, None
        if one["match_id"] in self.withheld:
            return ["withheld"], None, None
        return [], one["data"]["level"], None

    def of_other(self, one: Mapping[str, Any], _day: date) -> Told:
        if one["machine"] == "rectification":
            found = ["rectifications"] if one["action"] == "open" else []
            return [*found, "rectified"] if one["to_state"] == "closed" else found, None, None
        limits = {
            "deliver": "overdue",
            "deliver_statutory": "overdue",
            "rectification_rectify": "rectification_overdue",
            "rectification_answer": "rectification_overdue",
        }
        limit = one["data"].get("limit", "") if one["action"] == "expire" else ""
        return [limits[limit]] if limit in limits else [], None, None


def counted_from(events: Iterable[Mapping[str, Any]], deadlines: Deadlines) -> dict[Key, Figures]:
    rows = list(events)
    withheld = {one["match_id"] for one in rows if (one["machine"], one["action"]) == ("rating", "withhold")}
    so_far = Counting(withheld, deadlines)
    for one in rows:
        so_far.take(one)
    return {key: _figures(so_far.counts[key], so_far.levels[key], so_far.days[key]) for key in so_far.counts}


def _figures(counts: Counter[str], levels: Counter[int], days: Counter[int]) -> Figures:
    return Figures(
        **{name: counts[name] for name in COUNTS},
        rated=(levels[1], levels[2], levels[3], levels[4], levels[5]),
        days=tuple(sorted(days)),
        times=tuple(days[day] for day in sorted(days)),
    )
