"""How well needs in users' words are understood, against plain TF-IDF; and, with --fit, the weights fitted anew.

Weights are fitted on the shipped examples alone, which also vote as past needs. Figures are of needs that are neither
shipped nor fitted on: `test`, split off by a hash of the text, and `blind`, written last. How far to trust them is in
docs/decisions/0007-understanding.md.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median

import click
import numpy as np
from msgspec import Struct

from bench.understanding_fit import fit
from market.data import language
from market.data.language import Example
from market.understand_cli import shipped_items, shipped_understander
from matching.text import TextIndex
from matching.types import ItemText
from matching.understand import Understander

ROOT = Path(__file__).parents[1]
CORPORA = {name: ROOT / f"tests/data/understanding_{name}.jsonl" for name in ("test", "blind")}
WEIGHTS = ROOT / "market/data/language/weights.json"
CONSULTATION = {"SZ-2024-30", "SZ-2024-31", "SZ-2024-32", "SZ-2024-33"}

Reader = Callable[[str], tuple[list[str], bool]]
"""A text's item codes, best first, and whether it is outside scope."""


class Judged(Struct, frozen=True):
    """Shares, 0..1. `top_1`, `top_3`: of needs that an item answers, one is at the first place or among three;
    `consulted`: of needs that none answers, consultation is first; `outside_recognised`: of everyday questions;
    `false_alarms`: of all needs within scope, those taken for everyday questions. `needs`, `everyday`: counts."""

    needs: int
    top_1: float
    top_3: float
    consulted: float
    everyday: int
    outside_recognised: float
    false_alarms: float


def judge(read: Reader, corpus: Sequence[Example]) -> Judged:
    """Read every text of a corpus and count."""
    found = [(example, *read(example.text)) for example in corpus]
    needs = [(example, codes) for example, codes, _ in found if example.items]
    unfit = [codes for example, codes, _ in found if not example.items and not example.outside_scope]
    return Judged(
        needs=len(needs),
        top_1=_share(bool(codes) and codes[0] in example.items for example, codes in needs),
        top_3=_share(not set(codes[:3]).isdisjoint(example.items) for example, codes in needs),
        consulted=_share(bool(codes) and codes[0] in CONSULTATION for codes in unfit),
        everyday=sum(example.outside_scope for example in corpus),
        outside_recognised=_share(outside for example, _, outside in found if example.outside_scope),
        false_alarms=_share(outside for example, _, outside in found if not example.outside_scope),
    )


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
    return {name: language.read_examples(path.read_bytes()) for name, path in CORPORA.items()}


def run() -> dict[str, dict[str, Judged]]:
    """Figures of this project and of plain TF-IDF on each corpus."""
    ours, peer = reader(shipped_understander()), tfidf(shipped_items())
    return {name: {"zhipei": judge(ours, corpus), "tf-idf": judge(peer, corpus)} for name, corpus in corpora().items()}


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
        weights = fit(shipped_items(), language.load_cues(), language.load_sounds(), language.load_examples())
        WEIGHTS.write_text(json.dumps(weights, indent=2) + "\n")
    click.echo(
        json.dumps(
            {**run(), "ms_p50": round(milliseconds(), 3)},
            indent=2,
            default=lambda struct: {f: getattr(struct, f) for f in struct.__struct_fields__},
        )
    )


def _share(truths: Iterable[bool]) -> float:
    return round(float(np.mean(list(truths))), 3)


def _milliseconds(read: Reader, text: str) -> float:
    began = time.perf_counter()
    read(text)
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
