"""The ledger counted a second time, in plain Python, one event after the other: what the SQL has to agree with."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from infra.db import Transaction
from market.calendars.model import ZONE
from market.calendars.service import Deadlines
from market.ledger.model import COUNTS, Figures

EVENTS = """
SELECT e.id, e.match_id, e.machine, e.action, e.from_state, e.to_state, e.at, e.data, m.institution_id, m.item_code,
       m.delivered_on_time, v.region_code
FROM events e JOIN matches m ON m.id = e.match_id JOIN institutions i ON i.id = m.institution_id
JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
WHERE e.id <= $1 ORDER BY e.id
"""
Key = tuple[int, str, str]
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


def counted_from(events: Iterable[Mapping[str, Any]], deadlines: Deadlines) -> dict[Key, Figures]:
    rows = list(events)
    withheld = {one["match_id"] for one in rows if (one["machine"], one["action"]) == ("rating", "withhold")}
    accepted: dict[int, Any] = {}
    delivered: set[int] = set()
    counts: dict[Key, Counter[str]] = defaultdict(Counter)
    levels: dict[Key, Counter[int]] = defaultdict(Counter)
    days: dict[Key, Counter[int]] = defaultdict(Counter)
    for one in rows:
        match, machine, action = one["match_id"], one["machine"], one["action"]
        day = one["at"].astimezone(ZONE).date()
        periods = (f"{day:%Y-%m}", f"{day.year}Q{(day.month + 2) // 3}", str(day.year))
        keys = [(one["institution_id"], period, item) for period in periods for item in (one["item_code"], "")]
        found: list[str] = []
        level = spent = None
        if machine == "match":
            if action in SIMPLE:
                found = [SIMPLE[action]]
            if action == "accept":
                accepted[match] = day
            if action == "grant_decline":
                found = ["declined", "decline_granted"]
            if action in ("supersede", "cancel") and one["from_state"] in HELD:
                found = ["taken_back"]
            if action == "deliver" and match not in delivered:
                delivered.add(match)
                on_time = one["data"].get("on_time", one["delivered_on_time"])
                found = ["delivered", "on_time"] if on_time else ["delivered"]
                calendar = deadlines.calendar(one["region_code"])
                spent = min(max(calendar.working_days_between(accepted[match], day), 0), 250)
        elif machine == "rating" and action == "rate":
            if match in withheld:
                found = ["withheld"]
            else:
                level = one["data"]["level"]
        elif machine == "rectification":
            found = ["rectifications"] if action == "open" else ["rectified"] if one["to_state"] == "closed" else []
        elif machine == "deadline" and action == "expire":
            limit = one["data"]["limit"]
            if limit == "deliver":
                found = ["overdue"]
            elif limit in ("rectification_rectify", "rectification_answer"):
                found = ["rectification_overdue"]
        for key in keys:
            counts[key].update(found)
            if level is not None:
                levels[key][level] += 1
            if spent is not None:
                days[key][spent] += 1
    return {key: _figures(counts[key], levels[key], days[key]) for key in counts}


def _figures(counts: Counter[str], levels: Counter[int], days: Counter[int]) -> Figures:
    return Figures(
        **{name: counts[name] for name in COUNTS},
        rated=(levels[1], levels[2], levels[3], levels[4], levels[5]),
        days=tuple(sorted(days)),
        times=tuple(days[day] for day in sorted(days)),
    )
