"""``zhipei evaluate``: how good matching is on data of one's own. Needs no database and no server."""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import click
import msgspec
import numpy as np
from msgspec import Meta, Struct
from sklearn.datasets import load_svmlight_file

from matching.assign import Policy, assign
from matching.errors import MatchingError
from matching.evaluate import ndcg
from matching.flow import Progress, Step
from matching.learn import AdditiveRanker, Training, table_model, tuned
from matching.model import TableScorer
from matching.simulate import synthetic_queue
from matching.text import TextIndex
from matching.types import FloatArray

RANKERS: tuple[dict[str, Any], ...] = (
    {"max_iter": 120, "max_leaf_nodes": 4, "min_samples_leaf": 20},
    {"max_iter": 240, "max_leaf_nodes": 4, "min_samples_leaf": 50},
    {"max_iter": 150, "max_leaf_nodes": 8, "min_samples_leaf": 20, "max_features": 0.3},
    {"max_iter": 150, "max_leaf_nodes": 8, "min_samples_leaf": 50, "max_features": 0.1},
)
"""Settings to choose from by cross-validation."""

FOLDS = 4
BAGS = 5
TOP = 10
CANDIDATES = 200  # rows scored when time is measured
MB = 1024 if sys.platform != "darwin" else 1024**2  # what ru_maxrss counts in


class RetrievalSet(Struct):
    """`rel` [queries]: for each query, the positions of the right texts in `corpus`."""

    corpus: list[str]
    queries: list[str]
    rel: list[list[Annotated[int, Meta(ge=0)]]]

    def __post_init__(self) -> None:
        if len(self.rel) != len(self.queries):
            raise ValueError(f"{len(self.queries)} queries, {len(self.rel)} entries in rel")
        if any(row >= len(self.corpus) for right in self.rel for row in right):
            raise ValueError(f"rel points beyond the {len(self.corpus)} texts of the corpus")


@click.group()
def evaluate() -> None:
    """Measure ranking, retrieval or assignment; the last line printed is one JSON object."""


@evaluate.command()
@click.argument("train", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("test", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def ltr(train: Path, test: Path) -> None:
    """Learn from TRAIN, rank TEST: svmlight files with qid, or with group sizes in a .query file beside them."""
    try:
        data, unseen = read_judged(train, test)
        click.echo(f"{len(data.values)} + {len(unseen.values)} rows, {data.values.shape[1]} features; tuning …")
        _print(ranking_report(data, unseen))
    except (MatchingError, ValueError) as error:
        raise click.ClickException(str(error)) from error


@evaluate.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def retrieval(file: Path) -> None:
    """Search texts: JSON with "corpus" and "queries" (texts) and "rel" (for each query the right corpus positions)."""
    try:
        given = msgspec.json.decode(file.read_bytes(), type=RetrievalSet)
    except msgspec.DecodeError as error:
        raise click.ClickException(f"{file} is not a retrieval set: {error}") from error
    _print(retrieval_report(given))


@evaluate.command("assign")
@click.option("--needs", type=click.IntRange(0), default=10_000, show_default=True)
@click.option("--offerings", type=click.IntRange(1), default=1_000, show_default=True)
@click.option("--candidates", type=click.IntRange(1), default=200, show_default=True, help="Of each need.")
@click.option("--seed", type=int, default=0, show_default=True)
def assign_command(needs: int, offerings: int, candidates: int, seed: int) -> None:
    """Assign a synthetic queue at the optimum."""
    try:
        _print(assignment_report(needs, offerings, candidates, seed=seed, progress=_say))
    except (MatchingError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def ranking_report(data: Training, unseen: Training) -> dict[str, float]:
    """Quality of a ranker learned from `data` on `unseen`, as its tables rank it, and what scoring takes.

    Raises ValueError where nothing can be learned or judged.
    """
    ranker = tuned(data, AdditiveRanker(), RANKERS, folds=FOLDS).set_params(bags=BAGS)
    ranker.fit(data.values, data.grades, data.needs)
    names = [str(number) for number in range(data.values.shape[1])]
    scorer = TableScorer(table_model(ranker, version="evaluated", features=names, points=10.0, data=data))
    scores = scorer.score(unseen.values)
    if not (unseen.grades > 0).any():
        raise ValueError("no candidate to test on has a grade above 0: any order of them is as good as another")
    quality = {f"ndcg@{k}": float(np.nanmean(ndcg(scores.total, unseen.grades, unseen.needs, k=k))) for k in (1, 5, 10)}
    candidates = np.resize(unseen.values, (CANDIDATES, unseen.values.shape[1]))
    return quality | {
        "score_200_us": microseconds(lambda: scorer.score(candidates)),
        "parts_max_error": float(np.abs(scores.parts.sum(axis=1) - scores.total).max()),
    }


def retrieval_report(given: RetrievalSet) -> dict[str, float]:
    """MRR@10 and recall@10; among equal similarities a right text counts as the last."""
    index = TextIndex.fit(given.corpus)
    reciprocal, recall, seconds = 0.0, 0.0, 0.0
    for query, right in zip(given.queries, given.rel, strict=True):
        started = time.perf_counter()
        similarity = index.similarity(query)
        seconds += time.perf_counter() - started
        places = [int((similarity >= similarity[row]).sum()) for row in right if similarity[row] > 0]
        reciprocal += max((1 / place for place in places if place <= TOP), default=0.0)
        recall += sum(place <= TOP for place in places) / max(len(right), 1)
    count = max(len(given.queries), 1)
    return {"mrr@10": reciprocal / count, "recall@10": recall / count, "us_per_query": 1e6 * seconds / count}


def assignment_report(
    needs: int, offerings: int, candidates: int, *, seed: int, progress: Progress
) -> dict[str, float | bool]:
    """Quality and cost of one plan; `matched` is a share, `peak_mb` of the whole process."""
    queue = synthetic_queue(needs, offerings, candidates, seed=seed)
    started = time.perf_counter()
    plan = assign(queue, Policy(), progress=progress)
    seconds = time.perf_counter() - started
    return {
        "utility_per_need": float(plan.utility.mean()) if needs else 0.0,
        "matched": plan.matched / max(needs, 1),
        "seconds": seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MB,
        "optimal": plan.optimal,
    }


def read_judged(train: Path, test: Path) -> tuple[Training, Training]:
    """Both files with the same columns. Raises ValueError on files that are not svmlight or have no groups."""
    width = max(load_svmlight_file(str(path))[0].shape[1] for path in (train, test))
    first, second = (_judged(path, width) for path in (train, test))
    return first, second


def microseconds(act: Callable[[], object], *, times: int = 200) -> float:
    """Median time of `act`, after a first time that does not count."""
    act()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        act()
        taken.append(time.perf_counter() - started)
    return 1e6 * float(np.median(taken))


def _judged(path: Path, width: int) -> Training:
    values, grades, needs = load_svmlight_file(str(path), n_features=width, query_id=True)
    sizes_file = path.with_name(path.name + ".query")
    if sizes_file.exists():
        sizes: FloatArray = np.loadtxt(sizes_file, ndmin=1)
        if sizes.sum() != len(grades):
            raise ValueError(f"{sizes_file} counts {sizes.sum():.0f} rows, {path} has {len(grades)}")
        needs = np.repeat(np.arange(len(sizes)), sizes.astype(np.int64))
    elif not needs.any():
        raise ValueError(f"{path} has no qid, and there is no {sizes_file.name} beside it")
    return Training(values.toarray(), grades, needs.astype(np.int64))


def _say(step: Step) -> None:
    if step.phase == "proving" and step.left == 0:
        click.echo("optimum proven")
    else:
        click.echo(f"round {step.round}, {step.phase}: {step.done} needs done, {step.left} left")


def _print(report: dict[str, float] | dict[str, float | bool]) -> None:
    click.echo(
        json.dumps({name: value if isinstance(value, bool) else round(value, 12) for name, value in report.items()})
    )
