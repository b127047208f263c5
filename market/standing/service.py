"""Use cases of standing."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from infra.db import Transaction
from market.accounts.model import Actor
from market.institutions import service as institutions
from market.learning import serving
from market.offerings import queries as offerings
from market.offerings.model import Offering, OfferingState
from market.standing import queries
from market.standing.model import (
    LISTS,
    AdviceTold,
    ExcludedRow,
    ExclusionTold,
    GapTold,
    InstitutionStanding,
    ListedRow,
    OfferingStanding,
)
from matching.scorer import Scorer
from matching.standing import Lists, Standing, Terms, excluded_because, standing
from matching.types import Lang

MOST_NAMED = 3
"""Regions or kinds of enterprise that an exclusion names."""


async def of_institution(tx: Transaction, actor: Actor, lang: Lang) -> InstitutionStanding:
    """How the actor's offerings stand in the newest lists of its nodes, by the scorer in force; most shown first."""
    assert actor.institution_id is not None, "accounts' CHECK gives an institution account its institution"
    home = await institutions.find(tx, actor.institution_id)
    scorer = serving.scorer_of(await serving.champion(tx))
    rows = await queries.listed(tx, home.id, home.region_code, LISTS, scorer.features)
    excluded = await queries.excluded(tx, home.id, home.region_code, LISTS)
    own = await offerings.of_institution(tx, home.id)
    lists = [list(of) for _, of in groupby(rows, key=lambda row: row.run_id)]
    told = [
        of_offering(one, lists, [row for row in excluded if row.offering_id == one.id], scorer, lang)
        for one in own
        if one.state is not OfferingState.DRAFT
    ]
    return InstitutionStanding(
        lists=await queries.count(tx, home.region_code, LISTS),
        offerings=tuple(sorted(told, key=lambda one: (-one.shown, -one.times_excluded, one.title))),
    )


def of_offering(
    offering: Offering, lists: Sequence[list[ListedRow]], excluded: Sequence[ExcludedRow], scorer: Scorer, lang: Lang
) -> OfferingStanding:
    """One offering's standing; lists that it was not in do not count."""
    own = [row for rows in lists for row in rows if row.offering_id == offering.id]
    scored = [rows for rows in lists if any(row.offering_id == offering.id and row.values for row in rows)]
    terms = Terms(capacity=offering.capacity, promised_days=offering.promised_days)
    found = standing(_arrays(scored, offering.id, len(scorer.features)), terms, scorer)
    return OfferingStanding(
        offering_id=offering.id,
        title=offering.title,
        shown=len(own),
        mean_place=sum(row.rank for row in own) / len(own) if own else None,
        firsts=sum(row.rank == 1 for row in own),
        proposed=sum(row.proposed for row in own),
        approved=sum(row.approved for row in own),
        compared=found.compared,
        gaps=_gaps(found, lang),
        advice=_advice(found, terms, lang),
        excluded=_excluded(excluded, lang),
    )


def _arrays(lists: Sequence[list[ListedRow]], offering_id: int, features: int) -> Lists:
    """Lists whose rows all have values: those of one run are of one model."""
    rows = [row for of in lists for row in of]
    sizes = [len(of) for of in lists]
    return Lists(
        start=np.cumsum([0, *sizes]),
        values=np.array([row.values for row in rows], dtype=np.float64).reshape(-1, features),
        evidence=np.array([row.evidence for row in rows], dtype=np.int64).reshape(-1, features),
        institution=np.array([row.institution_id for row in rows], dtype=np.int64),
        own=np.array([number for number, row in enumerate(rows) if row.offering_id == offering_id], dtype=np.int64),
    )


# in words ------------------------------------------------------------------------------------------------------------


def _gaps(found: Standing, lang: Lang) -> tuple[GapTold, ...]:
    return tuple(
        GapTold(feature=one.feature, own=one.own, above=one.above, weight=one.weight, words=one.sentence(lang))
        for one in found.gaps
    )


def _advice(found: Standing, terms: Terms, lang: Lang) -> tuple[AdviceTold, ...]:
    return tuple(
        AdviceTold(
            lever=one.change.lever,
            amount=one.change.amount,
            lists=one.lists,
            moved=one.moved,
            before=one.before,
            after=one.after,
            firsts=one.firsts,
            words=one.sentence(terms, lang),
        )
        for one in found.advice
    )


def _excluded(rows: Sequence[ExcludedRow], lang: Lang) -> tuple[ExclusionTold, ...]:
    """By rule, the most frequent first, with what is not served by name."""
    times: Counter[str] = Counter()
    for row in rows:
        times[row.rule] += row.times
    told = []
    for rule, count in times.most_common():
        named = [row for row in rows if row.rule == rule and row.what][:MOST_NAMED]
        times_each = " 次" if lang == "zh" else ""  # not translated: told in the language asked for
        served = [f"{row.what} {row.times}{times_each}" for row in named]
        words, remedy = excluded_because(rule, lang)
        if served:
            words += f"（{'、'.join(served)}）" if lang == "zh" else f" ({', '.join(served)})"
        told.append(ExclusionTold(rule=rule, times=count, words=words, remedy=remedy))
    return tuple(told)
