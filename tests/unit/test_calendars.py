"""Working days against the notices of the State Council and against counting one day at a time."""

import json
from bisect import bisect_right
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from market.calendars.model import ZONE, Calendar, Calendars, DueDate, Hours, Period
from market.data import load_calendar

HOLIDAYS = Path(__file__).parents[2].parent / "shared" / "data" / "holidays"
SHIPPED = load_calendar()
CALENDAR = Calendar(days={d.day: d.working for d in SHIPPED.days}, horizon=SHIPPED.horizon)

days = st.dates(date(2022, 6, 1), date(2028, 6, 1))
# A period of ten thousand working days is some forty years.
periods = st.integers(0, 10_000)


def every_day(first: date, last: date) -> list[date]:
    return [first + timedelta(n) for n in range((last - first).days + 1)]


@pytest.mark.skipif(not HOLIDAYS.exists(), reason="the shared holiday notices are not here")
@pytest.mark.parametrize("year", [2023, 2024, 2025, 2026])
def test_every_day_is_as_announced(year: int) -> None:
    notices = [json.loads(path.read_text(encoding="utf-8"))["days"] for path in sorted(HOLIDAYS.glob("20*.json"))]
    off = {date.fromisoformat(day["date"]): day["isOffDay"] for notice in notices for day in notice}
    for day in every_day(date(year, 1, 1), date(year, 12, 31)):
        assert CALENDAR.is_working(day) is not off.get(day, day.weekday() >= 5), day


def test_sums_agree_with_chinesecalendar_on_every_day() -> None:
    """A peer of its own making: PyPI chinesecalendar, which lists the same notices by hand."""
    peer = pytest.importorskip("chinese_calendar")
    whole = every_day(date(2023, 1, 1), date(2026, 12, 31))
    worked = [day for day in whole if peer.is_workday(day)]
    assert [day for day in whole if CALENDAR.is_working(day)] == worked == peer.get_workdays(whole[0], whole[-1])
    passed = 0
    for day in whole[1:]:
        passed += peer.is_workday(day)
        assert CALENDAR.working_days_between(whole[0], day) == passed, day
    for start in whole:
        after = worked[bisect_right(worked, start) :]
        for n in (1, 2, 3, 5, 10, 20, 60):
            if n <= len(after):
                assert CALENDAR.add_working_days(start, n).day == after[n - 1], (start, n)
                assert CALENDAR.working_days_between(start, after[n - 1]) == n


@pytest.mark.parametrize(
    ("start", "n", "due"),
    [
        (date(2024, 9, 27), 1, date(2024, 9, 29)),  # a shifted Sunday is worked
        (date(2024, 9, 30), 1, date(2024, 10, 8)),  # seven days of the national holiday
        (date(2024, 9, 27), 3, date(2024, 10, 8)),
        (date(2024, 10, 1), 0, date(2024, 10, 8)),
        (date(2024, 9, 29), 0, date(2024, 9, 29)),
        (date(2026, 12, 30), 1, date(2026, 12, 31)),
    ],
)
def test_periods_around_holidays(start: date, n: int, due: date) -> None:
    assert CALENDAR.add_working_days(start, n) == DueDate(due, provisional=False)


def test_past_the_horizon_the_plain_rule_holds_provisionally() -> None:
    assert CALENDAR.horizon == date(2026, 12, 31)
    assert CALENDAR.add_working_days(date(2026, 12, 31), 1) == DueDate(date(2027, 1, 1), provisional=True)
    assert CALENDAR.add_working_days(date(2027, 1, 1), 1) == DueDate(date(2027, 1, 4), provisional=True)


def test_days_left_and_days_late() -> None:
    due = date(2024, 10, 8)
    assert CALENDAR.working_days_between(date(2024, 9, 29), due) == 2
    assert CALENDAR.working_days_between(due, due) == 0
    assert CALENDAR.working_days_between(date(2024, 10, 9), due) == -1


def test_counts_as_one_would_day_by_day() -> None:
    start = date(2022, 12, 1)
    worked = 0
    for day in every_day(start + timedelta(1), date(2027, 3, 1)):
        worked += CALENDAR.is_working(day)
        assert CALENDAR.working_days_between(start, day) == worked
        if CALENDAR.is_working(day):
            assert CALENDAR.add_working_days(start, worked).day == day


@given(days, periods)
def test_adding_and_counting_are_inverse(start: date, n: int) -> None:
    due = CALENDAR.add_working_days(start, n)
    assert CALENDAR.is_working(due.day)
    assert due.provisional is (due.day > CALENDAR.horizon)
    assert CALENDAR.working_days_between(start, due.day) == (n or not CALENDAR.is_working(start))
    assert CALENDAR.working_days_between(due.day, start) == -CALENDAR.working_days_between(start, due.day)


@given(days, days, periods, periods)
def test_later_start_or_longer_period_never_ends_earlier(a: date, b: date, m: int, n: int) -> None:
    first, last = CALENDAR.add_working_days(min(a, b), min(m, n)), CALENDAR.add_working_days(max(a, b), max(m, n))
    assert first.day <= last.day


def test_refuses_what_has_no_end() -> None:
    with pytest.raises(ValueError, match="negative"):
        CALENDAR.add_working_days(date(2024, 1, 1), -1)
    with pytest.raises(ValueError, match="10000"):
        CALENDAR.add_working_days(date(2024, 1, 1), 10_000_000)


def test_due_at_close_of_business_in_china() -> None:
    # 17:30 UTC on Friday is already Saturday in China: received on Sunday the 29th, which is worked.
    submitted = datetime(2024, 9, 27, 17, 30, tzinfo=UTC)
    assert CALENDAR.received(submitted) == date(2024, 9, 29)
    assert CALENDAR.due_at(submitted, 1) == (datetime(2024, 9, 30, 18, tzinfo=ZONE), False)
    assert CALENDAR.due_at(datetime(2026, 12, 31, 9, tzinfo=ZONE), 1)[1] is True


@pytest.mark.parametrize(
    ("start", "months", "due"),
    [
        (date(2024, 1, 31), 1, date(2024, 2, 29)),  # no such day: the month's last
        (date(2024, 8, 15), 2, date(2024, 10, 15)),
        (date(2024, 7, 5), 3, date(2024, 10, 8)),  # in the national holiday: the day after it
        (date(2024, 11, 30), 3, date(2025, 2, 28)),
        (date(2024, 12, 10), 0, date(2024, 12, 10)),
    ],
)
def test_periods_in_months(start: date, months: int, due: date) -> None:
    assert CALENDAR.add_months(start, months) == DueDate(due, provisional=False)


def test_of_days_and_months_the_earlier_end_counts() -> None:
    start = datetime(2024, 9, 2, 9, tzinfo=ZONE)
    assert CALENDAR.due_day(start, Period(days=5, months=9)).day == date(2024, 9, 9)
    assert CALENDAR.due_day(start, Period(days=50, months=1)).day == date(2024, 10, 8)
    with pytest.raises(ValueError, match="negative"):
        CALENDAR.add_months(date(2024, 1, 1), -1)


def test_what_comes_after_closing_or_on_a_day_off_counts_from_the_next_working_day() -> None:
    early = Calendar(days=CALENDAR.days, horizon=CALENDAR.horizon, hours=Hours(time(9), time(17)))
    friday = datetime(2024, 11, 15, 17, 0, tzinfo=ZONE)
    assert CALENDAR.due_at(friday, 1)[0] == datetime(2024, 11, 18, 18, tzinfo=ZONE)
    assert early.due_at(friday, 1)[0] == datetime(2024, 11, 19, 17, tzinfo=ZONE)
    saturday = datetime(2024, 11, 16, 10, tzinfo=ZONE)
    assert early.due_at(saturday, 1) == early.due_at(friday, 1)
    assert early.due_at(friday - timedelta(minutes=1), 0)[0] == datetime(2024, 11, 15, 17, tzinfo=ZONE)
    assert early.due_at(friday, 0)[0] == datetime(2024, 11, 18, 17, tzinfo=ZONE)


@given(days, days, st.times(), st.times(), periods)
def test_who_comes_later_is_never_due_earlier(a: date, b: date, at: time, by: time, n: int) -> None:
    first, last = sorted((datetime.combine(a, at, ZONE), datetime.combine(b, by, ZONE)))
    assert CALENDAR.due_at(first, n) <= CALENDAR.due_at(last, n)


@given(days, st.times(), st.integers(1, 60), st.integers(0, 60 * 24))
def test_a_pause_of_no_time_moves_nothing(day: date, at: time, n: int, hours: int) -> None:
    came = datetime.combine(day, at, ZONE)
    due, paused = CALENDAR.due_at(came, n)[0], came + timedelta(hours=hours % (24 * n))
    left = CALENDAR.working_days_between(CALENDAR.received(paused), due.date())
    assume(left >= 1)
    assert CALENDAR.due_at(paused, left)[0] == due


@given(days, st.integers(1, 400))
def test_counting_back_is_the_inverse(day: date, n: int) -> None:
    before = CALENDAR.working_days_before(day, n)
    assert CALENDAR.is_working(before)
    assert sum(CALENDAR.is_working(one) for one in every_day(before, day - timedelta(1))) == n


def test_a_region_inherits_what_it_does_not_name() -> None:
    day, other = date(2026, 4, 20), date(2026, 4, 21)
    found = Calendars(
        stamp=1,
        days={"000000": CALENDAR.days, "450000": {day: False, other: False}, "450100": {day: True}},
        hours={"000000": Hours(), "450000": Hours(time(9), time(17))},
        horizon=CALENDAR.horizon,
    )
    assert not found.of("450200").is_working(day)
    assert found.of("450102").is_working(day)
    assert not found.of("450102").is_working(other)
    assert found.of("450102").hours.closes == time(17)
    assert found.of("440305").is_working(day)
    assert found.of("440305") is found.of("110000"), "regions without anything of their own share one"


@given(days, st.times(), periods)
def test_due_after_submission(day: date, at: time, n: int) -> None:
    submitted = datetime.combine(day, at, ZONE)
    assert CALENDAR.due_at(submitted, n)[0] > submitted


def test_due_at_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        CALENDAR.due_at(datetime(2024, 1, 1), 1)  # noqa: DTZ001 - the point of the test
