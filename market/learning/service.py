"""Use cases of learned models: which one ranks, promotion, and the way back."""

import structlog

from infra.db import Transaction
from market.errors import Conflict, NotFound
from market.learning import queries
from market.learning.model import Line, ModelState, StoredModel
from matching.evaluate import Verdict
from matching.model import Blended, TableModel, TableScorer
from matching.scorer import Scorer, default_scorecard

RUNS = 5_000
"""Decided lists learned from: the newest. Older ones tell of institutions as they were."""

log = structlog.get_logger()


def scorer_of(model: TableModel | None) -> Scorer:
    """What ranks with this champion: the scorecard and the model blended, or the scorecard alone.

    A model that a release with other features has made cannot be read by this one: the scorecard stands in.
    """
    card = default_scorecard()
    if model is None:
        return card
    if model.features != card.features:
        log.warning("champion does not fit this release", model=model.version, features=model.features)
        return card
    return Blended(card, TableScorer(model), model.labelled_needs)


class ScorerSource:
    """The scorer in force, made anew when another model has become champion."""

    def __init__(self) -> None:
        self._current: tuple[str | None, Scorer] = (None, default_scorecard())

    async def get(self, tx: Transaction) -> Scorer:
        """The scorer as of now."""
        champion = await queries.champion(tx)
        if champion != self._current[0]:
            model = None if champion is None else await queries.tables(tx, champion)
            self._current = champion, scorer_of(model)
        return self._current[1]


async def champion(tx: Transaction) -> TableModel | None:
    """The model that ranks; None: the scorecard alone."""
    version = await queries.champion(tx)
    return None if version is None else await queries.tables(tx, version)


async def lines(tx: Transaction) -> list[Line]:
    """What there is to learn from."""
    return await queries.lines(tx, default_scorecard().features, RUNS)


async def store(tx: Transaction, model: TableModel, verdict: Verdict, *, promoting: bool) -> bool:
    """Keep a model as a candidate, or as champion if it passed the gate; False where it is there already."""
    new = await queries.insert(tx, model, verdict)
    if new and promoting and verdict.promote:
        await promote(tx, model.version)
    return new


async def models(tx: Transaction) -> list[StoredModel]:
    """All models, newest first."""
    return await queries.models(tx)


async def promote(tx: Transaction, version: str, *, anyway: bool = False) -> None:
    """Let a model rank.

    Raises:
        NotFound: there is none of that version.
        Conflict: it ranks already, or it missed a bar of the gate and is not to be promoted ``anyway``.
    """
    await queries.lock(tx)
    model = await queries.find(tx, version)
    if model is None:
        raise NotFound(f"没有版本为 {version} 的模型，请用 zhipei models 查看。")
    if model.state is ModelState.CHAMPION:
        raise Conflict(f"{version} 已经在用。")
    if model.failed and not anyway:
        raise Conflict(f"{version} 没有通过检验：{'；'.join(model.failed)}。确实要用，请加 --anyway。")
    await queries.crown(tx, version, replaces=await queries.retire(tx))


async def roll_back(tx: Transaction) -> str | None:
    """Go back to the champion before this one; its version, None for the scorecard alone.

    Raises:
        Conflict: no model ranks.
    """
    await queries.lock(tx)
    before = await queries.replaced(tx)
    if await queries.retire(tx) is None:
        raise Conflict("现在用的就是评分卡，没有可以退回的模型。")
    if before is not None:
        await queries.crown_again(tx, before)
    return before
