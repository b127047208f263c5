"""How the demo's enterprises rate what they got, and what becomes of the bad ratings."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from importlib.resources import files
from itertools import cycle
from random import Random

import msgspec
from msgspec import Struct

from market.calendars.model import Calendar
from market.demo.journal import Journal, Life
from market.demo.rows import Provider, RatingRow
from market.needs.model import Channel
from market.ratings.model import RatingAction as R
from market.ratings.model import RectificationAction as A
from market.ratings.model import RectificationState
from market.ratings.rectification import LIMITS
from market.ratings.scale import RatingLevel, indicators

S = RectificationState

RATED = {Channel.ONLINE: 0.72, Channel.COUNTER: 0.45}
"""How many rate at all."""
RUSH = timedelta(days=40)
"""In so many last days every fourth rating is bad, and each of them stops at another step: so that all have one."""

OfficeHours = Callable[[int, int], datetime]
"""Some moment at which people work, so many working days from now: at least, at most."""


class Texts(Struct, frozen=True):
    """What people write."""

    remarks: dict[int, tuple[str, ...]]
    later: tuple[str, ...]
    reply: tuple[str, ...]
    verify: tuple[str, ...]
    dismiss: tuple[str, ...]
    rectify: tuple[str, ...]
    answer: tuple[str, ...]
    satisfied: tuple[str, ...]
    unsatisfied: tuple[str, ...]
    close: tuple[str, ...]
    report: tuple[str, ...]
    keep: tuple[str, ...]
    withhold: tuple[str, ...]


def load_texts() -> Texts:
    """The texts."""
    return msgspec.json.decode(files(__package__).joinpath("ratings.json").read_bytes(), type=Texts)


def give_addresses(ratings: Sequence[RatingRow]) -> None:
    """Everybody rates from an address of their own; the most rated institution's all come from one, to be noticed."""
    online = [rating for rating in ratings if not rating.on_behalf]
    ((suspect, _),) = Counter(rating.institution_id for rating in online).most_common(1)
    for rating in online:
        rating.source = "one" if rating.institution_id == suspect else str(rating.rated_by)


class Raters:
    """Rates what has been served. Draws from its own ``rng``: the rest of the history stays as it is without it."""

    def __init__(
        self,
        journal: Journal,
        rng: Random,
        calendar: Calendar,
        days: Mapping[str, int],
        office_hours: OfficeHours,
        end: datetime,
    ) -> None:
        self.journal, self.rng, self.calendar, self.days = journal, rng, calendar, days
        self.office_hours, self.end, self.texts = office_hours, end, load_texts()
        # In turn rather than by chance: whatever day it is, there is one of each.
        self._bad = cycle((False, False, False, True))
        self._stops = cycle(reversed(tuple(LIMITS)))  # the oldest get furthest
        self._reported = cycle((True, False, False))
        self._rulings = cycle((R.KEEP, R.WITHHOLD))

    def rate(self, life: Life, provider: Provider, coordinator: int, *, reworked: bool) -> Iterator[datetime]:
        """What the one who was served does now, and all that follows from it."""
        rng, need = self.rng, life.need
        if rng.random() > RATED[need.channel]:
            return
        yield self.office_hours(0, 3)
        assert life.match is not None
        late = not life.match.delivered_on_time
        level = round(rng.gauss(3.3 + 2.0 * provider.quality - 1.2 * late - 0.6 * reworked, 0.9))
        rushed = self.end - self.journal.at < RUSH
        if rushed and next(self._bad):
            level = min(level, rng.choice((1, 2)))
        rating = self.journal.rate(life, self._said(life, RatingLevel(min(max(level, 1), 5))))
        if rating.level.is_bad:
            due_at, provisional = self.calendar.due_at(self.journal.at, self.days[LIMITS[S.VERIFYING]])
            self.journal.open_rectification(life, rating, due_at, provisional=provisional)
            stop = next(self._stops) if rushed else None
            yield from self._report(life, rating, provider, coordinator, stop)
            yield from self._rectify(life, rating, provider, coordinator, stop)
        else:
            yield from self._talk(life, rating, provider)

    def _said(self, life: Life, level: RatingLevel) -> RatingRow:
        rng, need = self.rng, life.need
        assert life.match is not None
        offered = [one.code for one in indicators(level, need.channel)]
        return RatingRow(
            id=len(self.journal.history.ratings),
            match_id=life.match.id,
            institution_id=life.match.institution_id,
            offering_id=life.match.offering_id,
            level=level,
            indicators=tuple(sorted(rng.sample(offered, rng.choice((0, 1, 1, 2, 3))))),
            remark=rng.choice(self.texts.remarks[level]),
            anonymous=rng.random() < (0.35 if level.is_bad else 0.1),
            rated_by=life.filer,
            on_behalf=need.channel is Channel.COUNTER,
            created_at=self.journal.at,
        )

    def _talk(self, life: Life, rating: RatingRow, provider: Provider) -> Iterator[datetime]:
        """The institution replies to some, and some have more to say later."""
        if rating.remark and self.rng.random() < 0.3:
            yield self.office_hours(0, 3)
            rating.reply = self.rng.choice(self.texts.reply)
            self.journal.judge(life, rating, R.REPLY, provider.account_id, rating.reply)
        if self.rng.random() < 0.06:
            yield self.office_hours(20, 60)
            rating.later_remark = self.rng.choice(self.texts.later)
            self.journal.judge(life, rating, R.ADD_REMARK, life.filer, rating.later_remark)

    def _report(
        self, life: Life, rating: RatingRow, provider: Provider, coordinator: int, stop: RectificationState | None
    ) -> Iterator[datetime]:
        if not next(self._reported):
            return
        rng = self.rng
        yield self.office_hours(0, 1)
        self.journal.judge(life, rating, R.REPORT, provider.account_id, rng.choice(self.texts.report))
        if stop:
            return  # it waits for the ruling
        ruling = next(self._rulings)
        # What is withheld took long to find out: the month is closed by then, and the ledger shows a correction.
        yield self.office_hours(1, 3) if ruling is R.KEEP else self.office_hours(22, 27)
        if ruling is R.KEEP:
            self.journal.judge(life, rating, R.KEEP, coordinator, rng.choice(self.texts.keep))
            return
        self.journal.judge(life, rating, R.WITHHOLD, coordinator, rng.choice(self.texts.withhold))
        self.journal.step(life, rating, A.DROP, coordinator)

    def _rectify(
        self, life: Life, rating: RatingRow, provider: Provider, coordinator: int, stop: RectificationState | None
    ) -> Iterator[datetime]:
        """Step by step, until it is closed or reaches ``stop``."""
        while rating.rectification not in (S.CLOSED, stop):
            yield self.office_hours(0, self.days[LIMITS[rating.rectification]])
            action, actor, note = self._next_step(
                rating, life.filer, provider.account_id, coordinator, founded=bool(stop) or self.rng.random() < 0.9
            )
            after = self.journal.step(life, rating, action, actor, note)
            if after is not S.CLOSED:
                rating.due_at, rating.due_provisional = self.calendar.due_at(self.journal.at, self.days[LIMITS[after]])

    def _next_step(
        self, rating: RatingRow, filer: int, server: int, coordinator: int, *, founded: bool
    ) -> tuple[A, int, str]:
        rng, texts = self.rng, self.texts
        if rating.rectification is S.REVISITING:
            return self._revisit(rating, filer)
        if rating.rectification is S.VERIFYING and not founded:
            return A.DISMISS, coordinator, rng.choice(texts.dismiss)
        action, actor, words = {
            S.VERIFYING: (A.VERIFY, coordinator, texts.verify),
            S.RECTIFYING: (A.RECTIFY, server, texts.rectify),
            S.ANSWERING: (A.ANSWER, server, texts.answer),
            S.CLOSING: (A.CLOSE, coordinator, texts.close),
        }[rating.rectification]
        note = rng.choice(words)
        if action is A.ANSWER:
            rating.answer = note
        return action, actor, note

    def _revisit(self, rating: RatingRow, filer: int) -> tuple[A, int, str]:
        rating.satisfied = self.rng.random() < 0.75
        if rating.satisfied:
            return A.SATISFIED, filer, self.rng.choice(self.texts.satisfied)
        action = A.UNSATISFIED if rating.sent_back else A.SEND_BACK
        rating.sent_back = True
        return action, filer, self.rng.choice(self.texts.unsatisfied)
