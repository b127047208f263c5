"""What is learned from, the ladder of models, what the night measures; pure."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from market.i18n import N_, Words, _, _n
from matching.grades import Outcome, grade
from matching.monitor import Bin
from matching.trials import Duel

SHADOWED = 100
"""Rankings a shadow is watched on before it may rank itself."""
AGREEMENT = 0.3
"""Of those, the share in which it must put the same first: one that agrees less is more likely broken than wise."""
OVERLAP = 0.5
"""And of the list, the share that must be on its own."""
DECIDED = 40
"""Rankings of a challenger that coordinators decided on before it may become champion."""
EFFECTIVE = 40.0
"""Needs that the estimate of what the challenger earns must rest on."""


class ModelState(StrEnum):
    """Where a model stands. At most one is champion, with none the scorecard ranks alone; at most one is on trial."""

    CANDIDATE = "candidate"
    SHADOW = "shadow"
    CHALLENGER = "challenger"
    CHAMPION = "champion"
    RETIRED = "retired"


class Climb(StrEnum):
    """A step up the ladder."""

    SHADOW = "shadow"
    CHALLENGE = "challenge"
    PROMOTE = "promote"


S = ModelState
ON_TRIAL = (S.SHADOW, S.CHALLENGER)
TARGETS: Mapping[Climb, ModelState] = {
    Climb.SHADOW: S.SHADOW,
    Climb.CHALLENGE: S.CHALLENGER,
    Climb.PROMOTE: S.CHAMPION,
}
RUNGS: Mapping[ModelState, int] = {S.CANDIDATE: 0, S.RETIRED: 0, S.SHADOW: 1, S.CHALLENGER: 2, S.CHAMPION: 3}
NEXT: Mapping[ModelState, Climb] = {
    S.CANDIDATE: Climb.SHADOW,
    S.RETIRED: Climb.SHADOW,
    S.SHADOW: Climb.CHALLENGE,
    S.CHALLENGER: Climb.PROMOTE,
}
"""The step that is next on the ladder."""
STATE_NAMES: Mapping[ModelState, str] = Words(
    {
        S.CANDIDATE: "候选",
        S.SHADOW: "旁听",
        S.CHALLENGER: "试排",
        S.CHAMPION: "在用",
        S.RETIRED: "停用",
    }
)
CLIMB_NAMES: Mapping[Climb, str] = Words(
    {
        Climb.SHADOW: "旁听",
        Climb.CHALLENGE: "试排十分之一的需求",
        Climb.PROMOTE: "正式启用",
    }
)


class Reason(Struct, frozen=True):
    """The form of a step. ``anyway``: although something speaks against it."""

    why: Annotated[str, Meta(max_length=500)] = ""
    anyway: bool = False


class By(Struct, frozen=True):
    """Who moves a model, and why. ``actor_id`` is None at the terminal and for the nightly job."""

    who: str
    why: str = ""
    actor_id: int | None = None


class Line(Struct, frozen=True, kw_only=True):
    """One candidate of a ranking that a coordinator decided on, and what became of it.

    ``proposed``: to the coordinator, who took another where one is ``by_override``.
    ``values`` in the order of FEATURES; ``item_number`` is that of the item the coordinator decided on, one for all
    lines of a run. The flags say what its match went through: all are False for one nobody took. ``propensity`` is that
    of the place; of the first place over both models, where one was on trial.
    """

    run_id: int
    need_id: int
    day: date
    region_code: str
    item_number: int
    rank: int
    shown: bool
    propensity: float
    proposed: bool
    values: tuple[float, ...]
    approved: bool
    by_override: bool
    accepted: bool
    completed: bool
    declined: bool
    rated_well: bool


class StoredModel(Struct, frozen=True, kw_only=True):
    """A model without its tables: how it stands, what it learned from, how it did on the days after ``last_day``.

    ``failed`` names the bars of the gate that it missed.
    """

    version: str
    state: ModelState
    state_since: datetime
    labelled_needs: int
    first_day: date
    last_day: date
    metrics: Mapping[str, float]
    failed: tuple[str, ...]
    created_at: datetime
    promoted_at: datetime | None

    @property
    def state_name(self) -> str:
        """The state in words."""
        return STATE_NAMES[self.state]


class ModelStep(Struct, frozen=True, kw_only=True):
    """One move on the ladder: whose, from where to where, by whom and why."""

    version: str
    from_state: ModelState
    to_state: ModelState
    who: str
    why: str
    at: datetime

    @property
    def words(self) -> str:
        """From where to where: 候选 → 旁听."""
        return f"{STATE_NAMES[self.from_state]} → {STATE_NAMES[self.to_state]}"


class TrialRun(Struct, frozen=True, kw_only=True):
    """A ranking that a model on trial took part in, as ``trial_runs``, and how far its first candidate came."""

    by_trial: bool
    share: float
    champion_propensity: float
    trial_propensity: float
    overlap: float
    decided: bool
    approved: bool
    by_override: bool
    accepted: bool
    completed: bool
    rated_well: bool
    shown: bool = True


def grade_of(one: Line | TrialRun) -> int:
    """How far the candidate came."""
    outcome: Outcome = "shortlisted" if one.shown else "passed_over"
    if one.rated_well:
        outcome = "rated_well"
    elif one.completed:
        outcome = "completed"
    elif one.accepted:
        outcome = "accepted"
    elif one.approved:
        outcome = "approved"
    return grade(outcome, by_override=one.by_override)


class Evidence(Struct, frozen=True):
    """What a model on trial has shown since it stands where it stands.

    ``rankings`` it took part in; ``agreement``: how often both models put the same offering first, ``overlap``: what
    their lists share, both 0 to 1. ``decided``, and of these ``decided_own``, which it ranked itself: rankings that a
    coordinator decided on. ``duel`` where there are any of a challenger.
    """

    rankings: int = 0
    agreement: float = 0.0
    overlap: float = 0.0
    decided: int = 0
    decided_own: int = 0
    duel: Duel | None = None


class Obstacle(Struct, frozen=True):
    """Why a model should not climb. ``waiting``: time will tell; otherwise a bar was missed."""

    words: str
    waiting: bool = False


def obstacles(model: StoredModel, step: Climb, evidence: Evidence) -> list[Obstacle]:
    """What speaks against this step; nothing: the model may climb."""
    found = [Obstacle(_("没有通过检验：{bar}", bar=bar)) for bar in model.failed]
    if NEXT[model.state] is not step:
        found.append(Obstacle(_("按顺序应先{step}", step=CLIMB_NAMES[NEXT[model.state]])))
    elif model.state is S.SHADOW:
        found += _of_shadow(evidence)
    elif model.state is S.CHALLENGER:
        found += _of_challenger(evidence)
    return found


def _of_shadow(evidence: Evidence) -> list[Obstacle]:
    if evidence.rankings < SHADOWED:
        return [Obstacle(_n("已旁听 {n} 次匹配，满 {least} 次再看", evidence.rankings, least=SHADOWED), waiting=True)]
    found = []
    if evidence.agreement < AGREEMENT:
        found.append(Obstacle(_only(N_("首选相同的只有 {share}，至少要 {least}"), evidence.agreement, AGREEMENT)))
    if evidence.overlap < OVERLAP:
        found.append(Obstacle(_only(N_("名单重合的只有 {share}，至少要 {least}"), evidence.overlap, OVERLAP)))
    return found


def _only(text: str, share: float, least: float) -> str:
    return _(text, share=f"{share:.0%}", least=f"{least:.0%}")


def _of_challenger(evidence: Evidence) -> list[Obstacle]:
    duel = evidence.duel
    if evidence.decided_own < DECIDED or duel is None:
        words = _n("由它排序并已审核的匹配有 {n} 次，满 {least} 次再看", evidence.decided_own, least=DECIDED)
        return [Obstacle(words, waiting=True)]
    if duel.challenger.effective < EFFECTIVE:
        words = _n(
            "折算成可比的需求只有 {n} 条，满 {least} 条再看", round(duel.challenger.effective), least=round(EFFECTIVE)
        )
        return [Obstacle(words, waiting=True)]
    if duel.change < -duel.error:
        return [
            Obstacle(
                _(
                    "派单成效比现用的低 {change}，超出误差 {error}",
                    change=f"{-duel.change:.3f}",
                    error=f"{duel.error:.3f}",
                )
            )
        ]
    return []


class Drift(Struct, frozen=True):
    """How far a feature's values of late differ from those learned from: ``psi``, and the mean of either time."""

    feature: str
    psi: float
    mean_then: float
    mean_now: float


class Week(Struct, frozen=True):
    """Decided rankings of a week (from Monday): NDCG@10 of the lists as shown, None where no order would be better than
    another; the shares whose first candidate was approved, and where another was put in its place."""

    first_day: date
    decided: int
    ndcg: float | None
    first_approved: float
    overridden: float


class Month(Struct, frozen=True):
    """How a month's work was spread: offerings considered, the share of newcomers among them, their share of all that
    was shown; matches, and the Gini coefficient of their number over institutions."""

    first_day: date
    offerings: int
    newcomers: float
    newcomers_exposure: float
    matches: int
    gini: float


class Shown(Struct, frozen=True, kw_only=True):
    """What a month brought an offering: how much it was seen, and of that as a newcomer, which was not assigned to
    before; how often, 0 to 1, it was one when it was considered; its matches."""

    first_day: date
    offering_id: int
    institution_id: int
    newcomer: float
    exposure: float
    newcomer_exposure: float
    matches: int


class Health(Struct, frozen=True, kw_only=True):
    """What the night measured of the model that ranks (``version``) and of the market under it.

    ``calibration`` is of answers after the days it learned from; ``drift`` against those days, of the newest model
    while the scorecard ranks. ``overrides`` is the share of the last 30 days. None: nothing to measure yet.
    """

    version: str
    calibration: tuple[Bin, ...] = ()
    calibration_error: float | None = None
    drift: tuple[Drift, ...] = ()
    weeks: tuple[Week, ...] = ()
    months: tuple[Month, ...] = ()
    overrides: float | None = None


class StoredHealth(Struct, frozen=True):
    """The newest of what was measured."""

    measured_at: datetime
    content: Health
