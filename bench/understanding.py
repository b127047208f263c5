"""How well needs in users' words are understood, against plain TF-IDF; and, with --fit, the weights fitted anew.

Weights are fitted on the shipped examples alone, which also vote as past needs. Figures are of texts that are neither
shipped nor fitted on, as they stand and with one slip of typing of each kind; what each corpus is worth is in
docs/decisions/0007-understanding.md.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import click
import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import asdict, replace

from bench.understanding_fit import fit, slips
from market.data import language
from market.data.language import Example
from market.understand_cli import shipped_items, shipped_understander
from matching.text import TextIndex
from matching.types import ItemText
from matching.understand import Understander

ROOT = Path(__file__).parents[1]
NAMES = ("test", "blind", "speakers", "fresh", "strangers", "hard", "mistyped")
CORPORA = {name: ROOT / f"tests/data/understanding_{name}.jsonl" for name in NAMES}
WEIGHTS = ROOT / "market/data/language/weights.json"
CONSULTATION = {"SZ-2024-30", "SZ-2024-31", "SZ-2024-32", "SZ-2024-33"}

RESAMPLES = 4_000

Reader = Callable[[str], tuple[list[str], bool]]
"""A text's item codes, best first, and whether it is outside scope."""


class Judged(Struct, frozen=True):
    """Shares, 0..1. `top_1`, `top_3`: of needs that an item answers, one is at the first place or among three;
    `consulted`: of needs that none answers, consultation is first (None: there are none); `outside_recognised`: of
    everyday questions; `false_alarms`: of all needs within scope, those taken for everyday questions. `needs`,
    `everyday`: counts."""

    needs: int
    top_1: float
    top_3: float
    consulted: float | None
    everyday: int
    outside_recognised: float
    false_alarms: float


def judge(read: Reader, corpus: Sequence[Example]) -> Judged:
    """Read every text of a corpus and count."""
    truths = _truths(read, corpus)
    return Judged(
        needs=len(truths["top_1"]),
        everyday=len(truths["outside_recognised"]),
        **{name: round(float(np.mean(found)), 3) if found else None for name, found in truths.items()},
    )


def intervals(read: Reader, corpus: Sequence[Example]) -> dict[str, list[float]]:
    """Within what bounds each share lies, at 95 %, by bootstrap over the texts."""
    chance = np.random.default_rng(0)
    bounds = {}
    for name, found in _truths(read, corpus).items():
        if not found:
            continue
        draws = chance.choice(np.array(found, dtype=np.float64), (RESAMPLES, len(found))).mean(axis=1)
        bounds[name] = [round(float(bound), 3) for bound in np.quantile(draws, (0.025, 0.975))]
    return bounds


def _truths(read: Reader, corpus: Sequence[Example]) -> dict[str, list[bool]]:
    """For each share of Judged, what holds of each text that it is a share of."""
    found = [(example, *read(example.text)) for example in corpus]
    needs = [(example, codes) for example, codes, _ in found if example.items]
    unfit = [codes for example, codes, _ in found if not example.items and not example.outside_scope]
    return {
        "top_1": [bool(codes) and codes[0] in example.items for example, codes in needs],
        "top_3": [not set(codes[:3]).isdisjoint(example.items) for example, codes in needs],
        "consulted": [bool(codes) and codes[0] in CONSULTATION for codes in unfit],
        "outside_recognised": [outside for example, _, outside in found if example.outside_scope],
        "false_alarms": [outside for example, _, outside in found if not example.outside_scope],
    }


def reader(understander: Understander) -> Reader:
    """For `judge`."""

    def read(text: str) -> tuple[list[str], bool]:
        found = understander.understand(text)
        return [item.code for item in found.items], found.outside_scope

    return read


def tfidf(items: Sequence[ItemText]) -> Reader:
    """The peer: cosine with name, aliases and guide. It knows no scope."""
    index = TextIndex.fit([f"{item.name} {item.group} {' '.join(item.aliases)} {item.text}" for item in items])

    def read(text: str) -> tuple[list[str], bool]:
        return [items[place].code for place in np.argsort(-index.similarity(text), kind="stable")[:5]], False

    return read


def corpora() -> dict[str, tuple[Example, ...]]:
    """What is judged on, by name."""
    return {
        name: tuple(msgspec.json.decode(line, type=Example) for line in path.read_bytes().splitlines())
        for name, path in CORPORA.items()
    }


def slipped(corpus: Iterable[Example]) -> dict[str, list[Example]]:
    """The corpus with one slip in every text, by kind of slip; a single character is nothing to slip on."""
    sounds = language.load_sounds()
    kinds: dict[str, list[Example]] = {}
    for example in corpus:
        if len(example.text) > 1:
            for kind, text in slips(sounds, example.text).items():
                kinds.setdefault(kind, []).append(replace(example, text=text))
    return kinds


def run() -> dict[str, dict[str, Any]]:
    """Figures of this project and of plain TF-IDF on each corpus, with intervals, and with one slip in each text."""
    ours, peer = reader(shipped_understander()), tfidf(shipped_items())
    return {
        name: {
            "zhipei": judge(ours, corpus),
            "within": intervals(ours, corpus),
            "tf-idf": judge(peer, corpus),
            "with one slip": {kind: judge(ours, texts) for kind, texts in slipped(corpus).items()},
        }
        for name, corpus in corpora().items()
    }


def milliseconds() -> float:
    """For one text, half of the time."""
    ours = reader(shipped_understander())
    texts = [example.text for corpus in corpora().values() for example in corpus]
    return median(_milliseconds(ours, text) for text in texts)


@click.command()
@click.option("--fit", "refit", is_flag=True, help="Fit the weights on the shipped examples and write them first.")
def main(*, refit: bool) -> None:
    """Print the figures as one JSON object."""
    if refit:
        weights = fit(shipped_items(), language.load_words(), language.load_examples())
        WEIGHTS.write_text(json.dumps(weights, indent=2) + "\n")
    click.echo(json.dumps({**run(), "ms_p50": round(milliseconds(), 3)}, indent=2, default=asdict))


def _milliseconds(read: Reader, text: str) -> float:
    began = time.perf_counter()
    read(text)
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
