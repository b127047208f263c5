"""Ranking against LightGBM's lambdarank: quality after the same cross-validation, and time for 200 candidates."""

from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import lightgbm
import numpy as np

from market.evaluate_cli import CANDIDATES, FOLDS, microseconds, ranking_report, read_judged
from matching.evaluate import ndcg
from matching.explore import Chance
from matching.features import FEATURES, FeatureMatrix
from matching.learn import AdditiveRanker, Training, folds_of, spread, table_model
from matching.model import Blended, TableScorer
from matching.rank import best_first, listed
from matching.reasons import reasons
from matching.scorer import default_scorecard
from matching.simulate import Market
from matching.types import Ranked

PEER_GRID: tuple[Mapping[str, Any], ...] = tuple(
    {"num_leaves": leaves, "min_data_in_leaf": rows, "learning_rate": rate}
    for leaves, rows, rate in product((7, 15, 31), (20, 50), (0.05, 0.1))
)
PEER_TREES = 150
TOP = 10
NEEDS, ROUNDS = 50, 41


def run(folder: Path) -> dict[str, dict[str, float]]:
    """`quality`: NDCG on the public set, ours and the peer's. `serving`: microseconds to score, explain and pick the
    top 10 of 200 candidates with our own features, and for the peer to predict alone, with as many. `folder` holds the
    set.
    """
    train, test = read_judged(folder / "lgb_rank.train", folder / "lgb_rank.test")
    ours = ranking_report(train, test)
    peer = _peer(train, _peer_tuned(train))
    predicted = peer.predict(test.values, num_threads=1)
    theirs = ndcg(predicted, test.grades, test.needs, k=10)
    rows = np.resize(test.values, (CANDIDATES, test.values.shape[1]))
    peer_us = microseconds(lambda: peer.predict(rows, num_threads=1))
    quality = ours | {
        "lightgbm ndcg@10": float(np.nanmean(theirs)),
        "behind": float(np.nanmean(theirs)) - ours["ndcg@10"],
        "lightgbm_200_us": peer_us,
        "times_faster": peer_us / ours["score_200_us"],
    }
    return {"quality": quality, "serving": _serving()}


def _peer(data: Training, parameters: Mapping[str, Any]) -> lightgbm.Booster:
    order = np.argsort(data.needs, kind="stable")
    rows = data.rows(order)
    _, sizes = np.unique(rows.needs, return_counts=True)
    fixed = {"objective": "lambdarank", "num_threads": 1, "verbose": -1, "seed": 0, "deterministic": True}
    return lightgbm.train(fixed | dict(parameters), lightgbm.Dataset(rows.values, rows.grades, group=sizes), PEER_TREES)


def _peer_tuned(data: Training) -> Mapping[str, Any]:
    """The peer's best settings by the folds that `learn.tuned` uses."""
    fold = folds_of(data, FOLDS)

    def quality(parameters: Mapping[str, Any]) -> float:
        found = []
        for held in range(FOLDS):
            unseen = data.rows(fold == held)
            scores = _peer(data.rows(fold != held), parameters).predict(unseen.values, num_threads=1)
            found.append(ndcg(scores, unseen.grades, unseen.needs, k=10))
        return float(np.nanmean(np.concatenate(found)))

    return max(PEER_GRID, key=quality)


def _serving() -> dict[str, float]:
    card = default_scorecard()
    market = Market(2 * CANDIDATES, newcomers=0.2, seed=0)
    data = market.run(card, 300, chance=Chance()).judged
    ranker = AdditiveRanker(directions=[feature.direction for feature in FEATURES])
    ranker.fit(data.values, data.grades, data.needs)
    points = spread(card.score(data.values).total, data.needs)
    model = table_model(ranker, version="learned", features=card.features, points=points, data=data)
    blend = Blended(card, TableScorer(model), ranker.needs_)
    peer = _peer(data, {})  # its defaults: 31 leaves
    needs = [market.arrival().values[:CANDIDATES] for _ in range(NEEDS)]
    matrices = [FeatureMatrix(values, np.ones(values.shape, dtype=np.int64)) for values in needs]
    times = _race(
        {
            "score": lambda matrix: blend.score(matrix.values),
            "list": lambda matrix: _list(blend, matrix),
            "list_in_words": lambda matrix: [reasons(one.parts, "zh") for one in _list(blend, matrix)],
            "lightgbm": lambda matrix: peer.predict(matrix.values, num_threads=1),
        },
        matrices,
    )
    median = {f"{name}_us": float(np.median(taken)) for name, taken in times.items()}
    return median | {
        "features": float(len(FEATURES)),
        "list_p99_us": float(np.quantile(times["list"], 0.99)),
        "list_in_words_p99_us": float(np.quantile(times["list_in_words"], 0.99)),
        "times_faster": median["lightgbm_us"] / median["list_us"],
    }


def _list(scorer: Blended, matrix: FeatureMatrix) -> tuple[Ranked, ...]:
    """The best of the candidates, with the exact parts of their scores."""
    scores = scorer.score(matrix.values)
    best = best_first(scores.total, np.arange(len(matrix.values)), top=TOP, seed=1)
    ids = best.tolist()
    return listed(scorer, matrix.rows(best), scores.rows(best), ids=ids, versions=ids, propensity=[1.0] * len(ids))


def _race(acts: Mapping[str, Callable[[FeatureMatrix], object]], matrices: list[FeatureMatrix]) -> dict[str, Any]:
    """Microseconds of each act on each need, in turns: what slows the machine for a while slows all of them."""
    times: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(ROUNDS):
        for name, act in acts.items():
            for matrix in matrices:
                started = perf_counter()
                act(matrix)
                times[name].append(1e6 * (perf_counter() - started))
    return {name: taken[len(matrices) :] for name, taken in times.items()}  # the first round warms up
