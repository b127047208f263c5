"""From decided lists to a model and the gate's verdict on it. Pure; takes seconds, so never on an event loop."""

from collections.abc import Sequence
from datetime import date
from hashlib import blake2b
from typing import Any, Self

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from market.i18n import _
from market.learning.model import Line, grade_of
from market.learning.serving import scorer_of
from matching.calibrate import fit_platt
from matching.evaluate import Bars, Snips, Trial, Verdict, gate, held_out, snips
from matching.explore import Chance, propensities
from matching.features import FEATURES
from matching.grades import BEST
from matching.learn import AdditiveRanker, LearningError, Training, spread, table_model
from matching.model import TableModel
from matching.rank import TIE_DIGITS
from matching.scorer import Scorer, default_scorecard
from matching.types import BoolArray, FloatArray, IntArray

HELD_OUT = 0.2
"""The latest share of what was decided, which the gate judges by."""
FEWEST = 40
"""Decided lists without which nothing is learned. With fewer, the gate could not tell a change from chance."""
ROUNDS, LEARNING_RATE = 600, 0.1
"""More than the library's default, which learns a little less (docs/decisions/0008-learning.md)."""
BINS = 10
"""As calibration_error counts."""


class Decided(Struct, frozen=True, eq=False):
    """Candidates [n] of decided lists, as arrays.

    ``data.needs`` numbers the lists; ``taken`` are candidates a coordinator approved and an institution answered, with
    ``accepted`` its answer. ``first`` led their list and were proposed. ``day`` is a proleptic ordinal; ``city`` the
    first four digits of the need's region.
    """

    data: Training
    need_id: IntArray
    day: IntArray
    first: BoolArray
    propensity: FloatArray
    taken: BoolArray
    accepted: BoolArray
    item: IntArray
    city: IntArray

    @classmethod
    def of(cls, lines: Sequence[Line]) -> Self:
        """Raises LearningError where there are no lines."""
        if not lines:
            raise LearningError("no ranking has been decided on yet")

        def column(kind: Any, values: Any) -> Any:
            return np.fromiter(values, dtype=kind, count=len(lines))

        return cls(
            data=Training(
                values=np.array([line.values for line in lines], dtype=np.float64),
                grades=column(np.float64, (grade_of(line) for line in lines)),
                needs=column(np.int64, (line.run_id for line in lines)),
            ),
            need_id=column(np.int64, (line.need_id for line in lines)),
            day=column(np.int64, (line.day.toordinal() for line in lines)),
            first=column(np.bool_, (line.rank == 1 and line.proposed for line in lines)),
            propensity=column(np.float64, (line.propensity for line in lines)),
            taken=column(np.bool_, (line.accepted or line.declined for line in lines)),
            accepted=column(np.bool_, (line.accepted for line in lines)),
            item=column(np.int64, (line.item_number for line in lines)),
            city=column(np.int64, (int(line.region_code[:4]) for line in lines)),
        )

    def rows(self, selected: BoolArray) -> Self:
        """Some of the rows."""
        others = {name: getattr(self, name)[selected] for name in self.__struct_fields__ if name != "data"}
        return type(self)(data=self.data.rows(selected), **others)


class Learned(Struct, frozen=True, eq=False):
    """A model, trained on all but the latest lists, and how it did on those against the champion."""

    model: TableModel
    verdict: Verdict


def learn(lines: Sequence[Line], champion: TableModel | None, *, gap: float) -> Learned:
    """Train on the past, judge on what came after; the model as judged is the model to store.

    Refitting it to all lists would waste nothing, but what ranks would not be what was judged; and the next champion
    would be judged on lists it has seen. ``gap`` is that of the chance in lists. Lines must be of lists in order.

    Raises:
        LearningError: too few lists were decided, or all alike.
    """
    decided = Decided.of(lines)
    lists = len(np.unique(decided.data.needs))
    if lists < FEWEST:
        raise LearningError(f"{lists} rankings have been decided on, {FEWEST} are needed")
    later = held_out(decided.day, HELD_OUT)
    past, future = decided.rows(~later), decided.rows(later)
    model = fitted(past)
    verdict = judged(model, champion, future, gap=gap)
    return Learned(model, verdict)


def fitted(past: Decided) -> TableModel:
    """The model of these lists, calibrated on their answers, in points as the scorecard's. Its version names it."""
    data, card = past.data, default_scorecard()
    ranker = AdditiveRanker(
        directions=[feature.direction for feature in FEATURES], max_iter=ROUNDS, learning_rate=LEARNING_RATE
    )
    ranker.fit(data.values, data.grades, data.needs)
    points = spread(card.score(data.values).total, data.needs)
    model = table_model(
        ranker,
        version="",
        features=card.features,
        points=points,
        data=data,
        window=(_date(int(past.day.min())), _date(int(past.day.max()))),
    )
    model = replace(model, labelled_needs=len(np.unique(past.need_id)))
    if past.taken.any():
        scores = scorer_of(model).score(data.values).total[past.taken]
        model = replace(model, calibration=fit_platt(scores, past.accepted[past.taken]))
    digest = blake2b(model.to_json().encode(), digest_size=4).hexdigest()
    return replace(model, version=f"learned-{model.window[1]}-{digest}")


def judged(model: TableModel, champion: TableModel | None, future: Decided, *, gap: float) -> Verdict:
    """The gate's verdict on lists that came after those the model has learned from."""
    old, new = (_scores(scorer_of(one), future.data.values) for one in (champion, model))
    answered = future.accepted[future.taken]
    promised = np.zeros(0) if model.calibration is None else model.calibration.probability(new[future.taken])
    trial = Trial(
        champion=old,
        challenger=new,
        grades=future.data.grades,
        needs=future.data.needs,
        groups={_("事项"): future.item, _("地区"): future.city},
        probability=promised,
        accepted=answered[: len(promised)],
        champion_snips=_snips(old, future, Chance(gap=gap)),
        challenger_snips=_snips(new, future, Chance(gap=gap)),
    )
    bars = Bars(calibration_error=Bars().calibration_error + noise(promised))
    return gate(trial, bars, lang="zh")


def noise(probability: FloatArray) -> float:
    """The calibration error that perfect promises [n] show by chance alone: a bin of n / BINS answers is off by the
    mean absolute deviation of its share. It is .1 for eighty answers, so small markets are not held to a bar of .03.
    """
    if len(probability) == 0:
        return 0.0
    deviation = np.sqrt(probability * (1 - probability)).mean()
    return float(np.sqrt(2 / np.pi) * deviation * np.sqrt(BINS / len(probability)))


def _scores(scorer: Scorer, values: FloatArray) -> FloatArray:
    """Scores as ranking compares them."""
    rounded: FloatArray = np.round(scorer.score(values).total, TIE_DIGITS)
    return rounded


def _snips(scores: FloatArray, lists: Decided, chance: Chance) -> Snips:
    """What the proposals would have earned, had these scores made them: the grade of the first of every list.

    Among the candidates that were logged, which are those shown and some of the others. Where prices made the proposal,
    no scores did.
    """
    starts = np.flatnonzero(np.diff(lists.data.needs, prepend=-1))
    target = [
        propensities(scores[rows], np.flatnonzero(lists.first[rows]), chance)[0]
        for rows in np.split(np.arange(len(scores)), starts[1:])
        if lists.first[rows].any()
    ]
    first = lists.first
    return snips(lists.data.grades[first] / BEST, lists.propensity[first], np.array(target))


def _date(ordinal: int) -> str:
    return date.fromordinal(ordinal).isoformat()
