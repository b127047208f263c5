"""Models on trial, ranked with by the real worker: a shadow changes nothing, a challenger ranks what it draws."""

from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Any

import pytest
from msgspec import structs

from infra.db import Database
from market.learning import queries, service
from market.learning.model import By, Climb
from matching.trials import SHARE, drawn
from tests.conftest import Api
from tests.db.test_learning import PASSED, model
from tests.jobs.test_whole_way import submit, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("worker")]

ME = By("测试员", "试试看")
BODY = "想申请发明专利，请问怎么办理？"
KEYS = (f"trial-{number}" for number in count())


@pytest.fixture
async def versions(db: Database) -> AsyncIterator[Iterator[str]]:
    """Names of versions, made models when they are asked for; afterwards the scorecard ranks again."""
    yield (f"learned-trial-{number}" for number in count())
    async with db.transaction() as tx:
        await service.roll_back(tx, ME)


async def put(db: Database, version: str, step: Climb) -> None:
    async with db.transaction() as tx:
        if await queries.find(tx, version) is None:
            await service.store(tx, structs.replace(model(1), version=version), PASSED)
        await service.climb(tx, version, step, ME, anyway=True)


async def ranked(api: Api) -> tuple[int, dict[str, Any]]:
    """A new need's id, and its ranking once it is there."""
    need = await submit(api("enterprise"), BODY, next(KEYS))
    await until(api("coordinator"), f"/needs/{need['id']}", "proposed")
    return need["id"], (await api("coordinator").get(f"/needs/{need['id']}/ranking")).json()


async def logged(db: Database, need_id: int) -> list[dict[str, Any]]:
    """Every run of the need, with what was kept of a trial beside it."""
    async with db.reading() as tx:
        rows = await tx.fetch(
            """
            SELECT t.version, t.share, t.by_trial, t.champion_propensity, t.trial_propensity, t.scores,
                   (SELECT array_agg(score ORDER BY rank) FROM candidates WHERE run_id = r.id) AS own
            FROM ranking_runs r LEFT JOIN trial_runs t ON t.run_id = r.id WHERE r.need_id = $1
            """,
            need_id,
        )
    return [dict(row) for row in rows]


def order(ranking: dict[str, Any]) -> list[tuple[int, float]]:
    return [(one["offering_id"], one["score"]) for one in ranking["candidates"]]


async def test_a_shadow_changes_nothing(db: Database, api: Api, versions: Iterator[str]) -> None:
    before_id, before = await ranked(api)
    version = next(versions)
    await put(db, version, Climb.SHADOW)
    need_id, after = await ranked(api)
    assert order(after) == order(before)
    assert after["run"]["model_version"] == "scorecard-2"
    assert [run["version"] for run in await logged(db, before_id)] == [None]
    (run,) = await logged(db, need_id)
    assert (run["version"], run["share"], run["by_trial"]) == (version, 0, False)
    assert len(run["scores"]) == len(run["own"])
    assert run["scores"] != run["own"]
    assert run["champion_propensity"] == 1


async def test_a_challenger_ranks_what_it_draws(db: Database, api: Api, versions: Iterator[str]) -> None:
    need_id, card = await ranked(api)
    version = next(one for one in versions if drawn(need_id + 1, one) and not drawn(need_id + 2, one))
    await put(db, version, Climb.CHALLENGE)
    drawn_id, by_challenger = await ranked(api)
    other_id, by_champion = await ranked(api)
    assert (drawn_id, other_id) == (need_id + 1, need_id + 2)
    assert by_challenger["run"]["model_version"] == f"scorecard-2+{version}"
    assert by_champion["run"]["model_version"] == "scorecard-2"
    assert order(by_champion) == order(card)
    (own,), (rest,) = await logged(db, drawn_id), await logged(db, other_id)
    for run, by_trial in ((own, True), (rest, False)):
        assert (run["version"], run["share"], run["by_trial"]) == (version, SHARE, by_trial)
        mixed = (1 - SHARE) * run["champion_propensity"] + SHARE * run["trial_propensity"]
        assert 0 < mixed <= 1
    assert own["trial_propensity"] == rest["champion_propensity"] == 1
    # What each says of the other's list is what it gave the same offerings on its own.
    champions = dict(order(by_champion))
    listed = [one["offering_id"] for one in by_challenger["candidates"]]
    assert own["scores"][: len(listed)] == pytest.approx([champions[offering] for offering in listed])
