"""What the log tells of the model that ranks and of the market under it. Pure; takes seconds for a full log."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby

import numpy as np

from market.learning.model import Drift, Health, Line, Month, Shown, Week, grade_of
from market.learning.serving import fits, scorer_of
from matching.evaluate import calibration_error, gini, ndcg
from matching.features import FEATURES
from matching.model import TableModel
from matching.monitor import psi, reliability
from matching.types import BoolArray, FloatArray

RECENT_DAYS = 30
WEEKS, MONTHS = 26, 12
FEWEST_ANSWERS = 25
"""To what a model promised, in a bin of the calibration plot: a share of fewer is mostly chance."""
MOST_BINS = 10


def measured(
    champion: TableModel | None,
    lines: Sequence[Line],
    then: Sequence[Sequence[float]],
    of_late: Sequence[Sequence[float]],
    shown: Sequence[Shown],
    today: date,
) -> Health:
    """All there is to tell.

    ``lines`` as learning has them; ``then`` and ``of_late``: features of candidates shown in the days learned from, and
    in the last RECENT_DAYS.
    """
    promised, accepted = _answers(champion, lines)
    bins = min(len(promised) // FEWEST_ANSWERS, MOST_BINS)
    recent = [week for week in _weeks(lines, since=today - timedelta(days=RECENT_DAYS), by_week=False) if week.decided]
    return Health(
        version=scorer_of(champion).version,
        calibration=reliability(promised, accepted, bins=bins) if bins else (),
        calibration_error=calibration_error(promised, accepted, bins=bins) if bins else None,
        drift=_drift(np.array(then), np.array(of_late)),
        weeks=tuple(_weeks(lines, since=_monday(today) - timedelta(weeks=WEEKS - 1), by_week=True)),
        months=tuple(_months(shown)),
        overrides=recent[0].overridden if recent else None,
    )


def first_month(now: datetime) -> datetime:
    """Since when the market is looked at."""
    years, month = divmod(now.year * 12 + now.month - MONTHS, 12)
    return now.replace(year=years, month=month + 1, day=1, hour=0, minute=0, second=0, microsecond=0)


def _answers(champion: TableModel | None, lines: Sequence[Line]) -> tuple[FloatArray, BoolArray]:
    """What the champion promises of candidates that were answered after the days it learned from, and the answers."""
    nothing = np.zeros(0), np.zeros(0, dtype=np.bool_)
    if champion is None or champion.calibration is None or not fits(champion):
        return nothing
    last = date.fromisoformat(champion.window[1])
    answered = [line for line in lines if line.day > last and (line.accepted or line.declined)]
    if not answered:
        return nothing
    scores = scorer_of(champion).score(np.array([line.values for line in answered])).total
    return champion.calibration.probability(scores), np.array([line.accepted for line in answered])


def _drift(then: FloatArray, of_late: FloatArray) -> tuple[Drift, ...]:
    if not (len(then) and len(of_late)):
        return ()
    return tuple(
        Drift(
            feature=feature.name,
            psi=psi(then[:, column], of_late[:, column]),
            mean_then=float(then[:, column].mean()),
            mean_now=float(of_late[:, column].mean()),
        )
        for column, feature in enumerate(FEATURES)
    )


def _weeks(lines: Sequence[Line], *, since: date, by_week: bool) -> Iterable[Week]:
    """The weeks since then that decisions were made in; or all that time as one."""
    recent = sorted((line for line in lines if line.day >= since), key=lambda line: (line.day, line.run_id, line.rank))
    for first_day, group in groupby(recent, key=lambda line: _monday(line.day) if by_week else since):
        yield _week(first_day, list(group))


def _week(first_day: date, lines: list[Line]) -> Week:
    shown = [line for line in lines if line.shown]
    quality = ndcg(
        np.array([-line.rank for line in shown], dtype=np.float64),
        np.array([grade_of(line) for line in shown], dtype=np.float64),
        np.array([line.run_id for line in shown]),
        k=10,
    )
    runs = {line.run_id for line in lines}
    first = {line.run_id for line in lines if line.rank == 1 and line.approved and not line.by_override}
    overridden = {line.run_id for line in lines if line.by_override}
    return Week(
        first_day=first_day,
        decided=len(runs),
        ndcg=None if np.isnan(quality).all() else float(np.nanmean(quality)),
        first_approved=len(first) / len(runs),
        overridden=len(overridden) / len(runs),
    )


def _months(shown: Sequence[Shown]) -> Iterable[Month]:
    for first_day, group in groupby(shown, key=lambda one: one.first_day):
        month = list(group)
        seen = sum(one.exposure for one in month)
        matches: dict[int, int] = {}
        for one in month:
            matches[one.institution_id] = matches.get(one.institution_id, 0) + one.matches
        yield Month(
            first_day=first_day,
            offerings=len(month),
            newcomers=sum(one.newcomer for one in month) / len(month),
            newcomers_exposure=sum(one.newcomer_exposure for one in month) / seen if seen else 0.0,
            matches=sum(matches.values()),
            gini=gini(np.array(list(matches.values()), dtype=np.float64)),
        )


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
