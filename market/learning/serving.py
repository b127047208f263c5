"""Which model ranks a need, and which only watches."""

import structlog
from msgspec import Struct

from infra.db import Transaction
from market.learning import queries
from market.learning.model import ModelState
from matching.model import Blended, TableModel, TableScorer
from matching.scorer import Scorer, default_scorecard
from matching.trials import SHARE, drawn

log = structlog.get_logger()


class OnTrial(Struct, frozen=True, eq=False):
    """The shadow or challenger beside the champion; ``share`` of needs it ranks, 0 for a shadow."""

    version: str
    share: float
    scorer: Scorer


class Arms(Struct, frozen=True, eq=False):
    """Who ranks one need, and who is asked for a second opinion on it."""

    ranks: Scorer
    second: Scorer | None = None
    by_trial: bool = False


class Serving(Struct, frozen=True, eq=False):
    """The models that take part in rankings."""

    champion: Scorer
    trial: OnTrial | None = None

    def arms(self, need_id: int) -> Arms:
        """Who ranks this need: always the same, as long as no model moves."""
        trial = self.trial
        if trial is None:
            return Arms(self.champion)
        if drawn(need_id, trial.version, share=trial.share):
            return Arms(trial.scorer, self.champion, by_trial=True)
        return Arms(self.champion, trial.scorer)


def fits(model: TableModel) -> bool:
    """Whether this release can read the model: one that a release with other features has made, it cannot."""
    return model.features == default_scorecard().features


def scorer_of(model: TableModel | None) -> Scorer:
    """What ranks with this champion: the scorecard and the model blended, or the scorecard alone.

    The scorecard also stands in for a model that does not fit.
    """
    card = default_scorecard()
    if model is None:
        return card
    if not fits(model):
        log.warning("model does not fit this release", model=model.version, features=model.features)
        return card
    return Blended(card, TableScorer(model), model.labelled_needs)


class ServingSource:
    """The models in force, read anew when another becomes champion or goes on trial."""

    def __init__(self) -> None:
        self._states: dict[ModelState, str] = {}
        self._current = Serving(default_scorecard())

    async def get(self, tx: Transaction) -> Serving:
        """The models as of now."""
        states = await queries.serving(tx)
        if states != self._states:
            current = Serving(scorer_of(await champion(tx)), await _on_trial(tx, states))
            self._states, self._current = states, current
        return self._current


async def champion(tx: Transaction) -> TableModel | None:
    """The model that ranks; None: the scorecard alone."""
    version = await queries.champion(tx)
    return None if version is None else await queries.tables(tx, version)


async def _on_trial(tx: Transaction, states: dict[ModelState, str]) -> OnTrial | None:
    for state, share in ((ModelState.SHADOW, 0.0), (ModelState.CHALLENGER, SHARE)):
        if state in states:
            model = await queries.tables(tx, states[state])
            return OnTrial(model.version, share, scorer_of(model)) if fits(model) else None
    return None
