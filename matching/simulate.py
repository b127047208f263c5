"""A market with a hidden truth, to test learning and assignment against: nothing here is used on real needs.

Needs arrive one by one; a scorer makes a list from the real features; a coordinator, who knows the truth only roughly
and reads from the top, approves or overrides; the institution accepts or declines, delivers on time or late, is rated.
Records, load and past follow, so that what is never shown stays unknown, as in life. Every offering is an institution
of its own.
"""

from collections import deque

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from matching.assign import Queue
from matching.columns import BEST_LEVEL, Pairs
from matching.encode import EncodedNeed, OfferingArrays
from matching.explore import Chance, shuffled
from matching.features import FEATURES, feature_matrix
from matching.grades import GRADES, Outcome, grade
from matching.learn import Training
from matching.monitor import exposure
from matching.past import MOST_KIN, Standing
from matching.scorer import SCORECARD_2, Scorer
from matching.types import BoolArray, FloatArray, IntArray

SHOWN = 10
PASSED_OVER = 20
CITIES = np.array([440300, 440100, 441900, 110000, 310000, 330100], dtype=np.int64)
ITEMS = 12
GROUPS = 4
RIGHTS = 6
STAGES = 4
INDUSTRIES = 5
RATED = 0.5  # of completed matches
BUSY = 150  # needs that arrive while a match is being delivered
RECENT = 300  # needs whose proposals count as recent
COUNTED = ("load", "accepted", "declined", "delivered", "on_time", "rated", "rating_points")
QUALITY_WEIGHT, SKILL_WEIGHT = 0.15, 0.1
GRADE_SHARES = (0.03, 0.08, 0.16, 0.3)  # of a need's candidates that are truly of grade 4, ≥ 3, ≥ 2, ≥ 1


class Truth(Struct, frozen=True, eq=False):
    """What nobody in the market sees: k feature weights and curves, how well each offering [n] serves (`quality`), and
    how well it knows each industry (`skill` [n, INDUSTRIES]).

    Worth = Σ weight · goodness^curve, with goodness 0 at a feature's worst and 1 at its best, plus what quality and
    skill weigh. Records are signs of quality; industry and kin of skill. Exposure weighs nothing: to be seen less
    makes nobody better.
    """

    weights: FloatArray
    curves: FloatArray
    quality: FloatArray
    skill: FloatArray

    def worth(self, values: FloatArray, rows: IntArray, industry: int) -> FloatArray:
        """True worth of candidates `rows` [c] with feature `values` [c, k] for a need of that industry, about 0..1."""
        worst = np.array([feature.worst for feature in FEATURES])
        best = np.array([feature.best for feature in FEATURES])
        goodness = np.clip((values - worst) / (best - worst), 0.0, 1.0)
        seen: FloatArray = goodness**self.curves @ self.weights
        hidden: FloatArray = QUALITY_WEIGHT * self.quality[rows] + SKILL_WEIGHT * self.skill[rows, industry]
        return (1 - QUALITY_WEIGHT - SKILL_WEIGHT) * seen + hidden


class Arrival(Struct, frozen=True, eq=False):
    """A new need: features [c, k] of the offerings that have capacity, their rows [c], and its industry."""

    values: FloatArray
    rows: IntArray
    industry: int


class Log(Struct, frozen=True, eq=False):
    """What a run leaves behind, as production does.

    `judged`: features, grades and needs of the candidates shown and of some that were passed over; `propensity` of
    each shown one at its position. By offering [n]: `served`, its matches; `seen`, its exposure in lists; `eligible`,
    the needs it could have served. `worth` [needs] of what each need got, 0 for none.
    """

    judged: Training
    propensity: FloatArray
    served: IntArray
    seen: FloatArray
    eligible: IntArray
    worth: FloatArray

    def newcomers_exposure(self, newcomer: BoolArray) -> float:
        """What offerings without a record were seen, over what they would have been had all been shown alike."""
        seen, eligible = (float(column[newcomer].sum() / column.sum()) for column in (self.seen, self.eligible))
        return seen / eligible


class Market:
    """The state between two needs: offerings with records and load, and the matches that will end."""

    def __init__(self, offerings: int, *, newcomers: float, seed: int) -> None:
        """`newcomers`: the share of offerings without any record."""
        self._random = np.random.default_rng(seed)
        self.truth = _truth(offerings, self._random)
        self.newcomer = self._random.random(offerings) < newcomers
        self.offerings = _offerings(self.truth.quality, self.newcomer, self._random)
        # Completed needs by offering and industry, and the offerings proposed lately.
        shares = self.truth.skill / self.truth.skill.sum(axis=1, keepdims=True)
        self._completed: IntArray = self._random.multinomial(self.offerings.delivered, shares)
        self._proposed: deque[int] = deque(maxlen=RECENT)
        self._ending: list[tuple[int, int]] = []
        self._clock = 0

    def __len__(self) -> int:
        return len(self.offerings)

    def arrival(self) -> Arrival:
        """The next need."""
        random, offerings = self._random, self.offerings
        item, industry = int(random.integers(ITEMS)), int(random.integers(INDUSTRIES))
        same, group = offerings.item == item, offerings.item % GROUPS == item % GROUPS
        noise = random.random(len(self))
        need = EncodedNeed(
            region=int(random.choice(CITIES)),
            territory=0,
            rights=1 << (item % RIGHTS),
            rights_asked=1,
            stages=1 << (item % STAGES),
            stages_asked=int(random.integers(2)),
            audience=0,
            days_left=int(random.integers(1, 40)) if random.random() < 0.4 else None,
            conflicts=np.zeros(0, dtype=np.int64),
            declined_by=np.zeros(0, dtype=np.int64),
        )
        pairs = Pairs(
            need=need,
            offerings=offerings,
            similarity=np.where(same, 0.1 + 0.4 * noise, 0.25 * noise**2),
            item_fit=np.where(same, 0.5 + 0.4 * random.random(len(self)), 0.3 * random.random(len(self)) ** 3),
            category=np.where(group, 0.6 + 0.3 * random.random(len(self)), 0.2 * random.random(len(self)) ** 3),
            standing=self._standing(same, industry),
        )
        rows = np.flatnonzero(offerings.load < offerings.capacity)
        return Arrival(feature_matrix(pairs).values[rows], rows, industry)

    def run(self, scorer: Scorer, needs: int, *, chance: Chance | None = None) -> Log:
        """`needs` arrivals, ranked by `scorer`, with or without chance in the order."""
        judged, propensities = [], []
        served, seen, worths = np.zeros(len(self), dtype=np.int64), np.zeros(len(self)), np.zeros(needs)
        eligible = np.zeros(len(self), dtype=np.int64)
        for number in range(needs):
            need = self.arrival()
            values, rows = need.values, need.rows
            scores = scorer.score(values).total
            seed = int(self._random.integers(2**32))
            order, propensity = shuffled(scores, chance or Chance(gap=0.0), top=SHOWN, seed=seed)
            self._proposed.append(int(rows[order[0]]))
            seen[rows[order]] += exposure(np.arange(1, len(order) + 1))
            eligible[rows] += 1
            worth = self.truth.worth(values[order], rows[order], need.industry)
            chosen = self._chosen(worth)
            outcome = self._outcome(int(rows[order[chosen]]), float(worth[chosen]), need.industry)
            others = np.setdiff1d(self._random.choice(len(rows), min(PASSED_OVER, len(rows)), replace=False), order)
            grades = np.repeat([GRADES["shortlisted"], GRADES["passed_over"]], [len(order), len(others)]).astype(
                np.float64
            )
            grades[chosen] = grade(outcome, by_override=chosen > 0)
            listed = np.concatenate([order, others])
            judged.append(Training(values[listed], grades, np.full(len(listed), number)))
            propensities.append(propensity)
            if outcome != "approved":
                served[rows[order[chosen]]] += 1
                worths[number] = worth[chosen]
        return Log(_joined(judged), np.concatenate(propensities), served, seen, eligible, worths)

    def exam(self, needs: int) -> Training:
        """Fresh needs with all their candidates and true grades; leaves records and load as they are."""
        papers = []
        for number in range(needs):
            need = self.arrival()
            worth = self.truth.worth(need.values, need.rows, need.industry)
            place = np.argsort(np.argsort(-worth)) / len(worth)
            grades = sum((place < share).astype(np.float64) for share in GRADE_SHARES)
            papers.append(Training(need.values, np.asarray(grades), np.full(len(need.rows), number)))
        return _joined(papers)

    def _standing(self, same: BoolArray, industry: int) -> Standing:
        """What the past says of every offering; kin are past needs of the same item, mostly of the same industry."""
        of_item = np.where(same, self._completed.sum(axis=1) + 3 * self._completed[:, industry], 0)
        similar = MOST_KIN if of_item.any() else 0
        return Standing(
            kin=self._random.multinomial(similar, of_item / max(of_item.sum(), 1)),
            similar=similar,
            completed=self._completed.sum(axis=1),
            in_industry=self._completed[:, industry],
            industry_share=float(self._completed[:, industry].sum() / max(self._completed.sum(), 1)),
            proposed=np.bincount(self._proposed, minlength=len(self)),
        )

    def _chosen(self, worth: FloatArray) -> int:
        """The coordinator's choice: the best of those read, as noise shows them; a later place must be better."""
        read = self._random.geometric(0.15)
        seen = worth + self._random.normal(0.0, 0.03, len(worth)) - 0.004 * np.arange(len(worth))
        return int(np.argmax(seen[:read]))

    def _outcome(self, row: int, worth: float, industry: int) -> Outcome:
        """How far the match comes; records and load follow."""
        random, quality = self._random, float(self.truth.quality[row])
        self._clock += 1
        columns = {name: getattr(self.offerings, name).copy() for name in COUNTED}
        self._release(columns)
        accepts = random.random() < 0.6 + 0.38 * quality
        columns["accepted" if accepts else "declined"][row] += 1
        on_time = random.random() < 0.4 + 0.58 * quality
        if accepts:
            columns["load"][row] += 1
            columns["delivered"][row] += 1
            columns["on_time"][row] += on_time
            rated = random.random() < RATED
            columns["rated"][row] += rated
            columns["rating_points"][row] += rated * random.binomial(BEST_LEVEL, 0.4 + 0.58 * quality)
            self._completed[row, industry] += 1
            self._ending.append((self._clock + BUSY, row))
        self.offerings = replace(self.offerings, **columns)
        if not accepts:
            return "approved"
        return "rated_well" if on_time and random.random() < worth else "completed"

    def _release(self, columns: dict[str, IntArray]) -> None:
        while self._ending and self._ending[0][0] <= self._clock:
            columns["load"][self._ending.pop(0)[1]] -= 1


def synthetic_queue(needs: int, offerings: int, candidates: int, *, seed: int) -> Queue:
    """A queue with 1.1 times the capacity it needs, in a few large and many small offerings, some sought by all.

    Raises ValueError where there are fewer offerings than candidates.
    """
    if not 1 <= candidates <= offerings:
        raise ValueError(f"a need cannot have {candidates} different candidates among {offerings} offerings")
    random = np.random.default_rng(seed)
    shuffles = np.stack([random.permutation(offerings) for _ in range(64)]).astype(np.int32)
    first = random.integers(0, offerings, (needs, 1))
    offering = shuffles[random.integers(0, 64, (needs, 1)), (first + np.arange(candidates)) % offerings]
    quality = random.beta(4, 3, offerings)
    utility = 0.45 * quality[offering] + 0.55 * random.random((needs, candidates))
    size = random.lognormal(0.0, 0.7, offerings)
    return Queue(
        start=np.arange(needs + 1) * candidates,
        offering=offering.ravel(),
        utility=utility.ravel(),
        conflict=np.zeros(needs * candidates, dtype=np.bool_),
        capacity=np.maximum(1, np.round(1.1 * needs * size / size.sum())).astype(np.int64),
        load=np.zeros(offerings, dtype=np.int64),
        institution=np.arange(offerings),
        pinned=np.full(needs, -1, dtype=np.int64),
    )


def half(queue: Queue, which: int) -> Queue:
    """Every other need of a queue that has as many candidates for each, with half the capacity: yesterday and today."""
    candidates = int(queue.start[1])
    arcs = np.repeat(np.arange(len(queue.pinned)) % 2 == which, np.diff(queue.start))
    pinned = queue.pinned[which::2]
    return replace(
        queue,
        start=np.arange(len(pinned) + 1) * candidates,
        offering=queue.offering[arcs],
        utility=queue.utility[arcs],
        conflict=queue.conflict[arcs],
        capacity=np.maximum(queue.capacity // 2, 1),
        pinned=pinned,
    )


def _truth(offerings: int, random: np.random.Generator) -> Truth:
    """A third what the scorecard believes, the rest chance: the card points the right way, with the wrong weights."""
    card = np.array([SCORECARD_2[feature.name] for feature in FEATURES]) / 100
    weights = 0.3 * card + 0.7 * random.dirichlet(np.full(len(card), 0.7))
    weights[[feature.name == "exposure" for feature in FEATURES]] = 0.0
    skill = random.dirichlet(np.full(INDUSTRIES, 0.7), offerings)
    return Truth(
        weights=weights / weights.sum(),
        curves=np.exp(random.normal(0.0, 0.7, len(card))),
        quality=random.beta(3.0, 2.0, offerings),
        skill=skill / skill.max(axis=1, keepdims=True),
    )


def _offerings(quality: FloatArray, newcomer: BoolArray, random: np.random.Generator) -> OfferingArrays:
    """Offerings whose records follow from their quality, as far back as they go."""
    count = len(quality)
    numbers, item = np.arange(count), random.integers(0, ITEMS, count)
    asked = np.where(newcomer, 0, random.integers(5, 60, count))
    accepted = random.binomial(asked, 0.6 + 0.38 * quality)
    rated = random.binomial(accepted, RATED)
    everything = random.random(count) < 0.3
    return OfferingArrays(
        offering_id=numbers,
        version=np.ones(count, dtype=np.int64),
        institution_id=numbers,
        institution_region=random.choice(CITIES, count),
        item=item,
        service=numbers,
        rights=np.where(everything, 0, 1 << (item % RIGHTS)),
        stages=np.where(everything, 0, 1 << (item % STAGES)),
        audience=np.zeros(count, dtype=np.int64),
        promised_days=np.where(random.random(count) < 0.5, random.integers(1, 40, count), np.nan),
        cover_owner=numbers,
        cover_code=np.zeros(count, dtype=np.int64),
        published=np.ones(count, dtype=np.bool_),
        capacity=random.integers(3, 12, count),
        load=np.zeros(count, dtype=np.int64),
        accepted=accepted,
        declined=asked - accepted,
        delivered=accepted,
        on_time=random.binomial(accepted, 0.4 + 0.58 * quality),
        rated=rated,
        rating_points=random.binomial(BEST_LEVEL * rated, 0.4 + 0.58 * quality),
    )


def _joined(parts: list[Training]) -> Training:
    return Training(
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.grades for part in parts]),
        np.concatenate([part.needs for part in parts]),
    )
