"""The weights of understanding, fitted to examples: a conditional logit over items, a logistic for scope.

Every example is read without its own vote: the history that reads one quarter of them is the other three. Each is read
as it stands, after a sentence about something else, and with one slip of each kind: users do all of that.
"""

import random
from collections.abc import Callable, Sequence
from itertools import cycle

import numpy as np
import rjieba
from scipy.optimize import minimize

from market.data.language import Example
from matching.evidence import Evidence, EvidenceSource
from matching.types import FloatArray, ItemText, ItemWeights, ScopeWeights, Words

FOLDS = 4
ITEM_RIDGE, SCOPE_RIDGE = 0.002, 0.0002  # for each example; between a tenth and ten times these, little changes

# Between "90 % of everyday questions recognised" and "at most 3 % of needs turned away", nearer to the second.
THRESHOLD = 0.42

Loss = Callable[[FloatArray], tuple[float, FloatArray]]
"""Of weights: its value and gradient."""


def fit(items: Sequence[ItemText], words: Words, examples: Sequence[Example]) -> dict[str, object]:
    """Weights in the form of weights.json."""
    read: list[tuple[Example, Evidence]] = []
    for fold in range(FOLDS):
        others = [example.as_past for place, example in enumerate(examples) if place % FOLDS != fold]
        source = EvidenceSource(items, words, others)
        asides = cycle(example.text for example in examples[fold::FOLDS] if example.outside_scope)
        for example in examples[fold::FOLDS]:
            among = f"{next(asides)}。{example.text}"
            slipped = slips(words.sounds, example.text).values()
            read += [(example, source.gather(text)) for text in (example.text, among, *slipped)]
    place = {item.code: number for number, item in enumerate(items)}
    needs = [(example, evidence) for example, evidence in read if not example.outside_scope]
    answers = np.zeros((len(needs), len(items)))
    for row, (example, _) in enumerate(needs):
        answers[row, [place[code] for code in example.items]] = 1.0
    item = _least(
        _item_loss(np.stack([evidence.items for _, evidence in needs]), answers), len(ItemWeights.__struct_fields__)
    )
    within = np.array([float(not example.outside_scope) for example, _ in read])
    scope = _least(
        _scope_loss(np.stack([evidence.scope for _, evidence in read]), within), len(ScopeWeights.__struct_fields__)
    )
    return {
        "item": dict(zip(ItemWeights.__struct_fields__, item, strict=True)),
        "scope": dict(zip(ScopeWeights.__struct_fields__, scope, strict=True)),
        "threshold": THRESHOLD,
    }


def _item_loss(signs: FloatArray, answers: FloatArray) -> Loss:
    """−log of the likelihood that one of the right items is meant. `signs` [n, m, k], `answers` [n, m] 0 or 1."""
    spread = signs.reshape(-1, signs.shape[2]).std(axis=0)
    ridge = ITEM_RIDGE * len(signs) * spread**2

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        log_odds = signs @ weights
        odds = np.exp(log_odds - log_odds.max(axis=1, keepdims=True))
        likely = odds / odds.sum(axis=1, keepdims=True)
        right = (likely * answers).sum(axis=1, keepdims=True)
        gradient = np.einsum("nm,nmk->k", likely - likely * answers / right, signs) + 2 * ridge * weights
        return float(-np.log(right).sum() + (ridge * weights**2).sum()), gradient

    return loss


def _scope_loss(signs: FloatArray, within: FloatArray) -> Loss:
    """−log of the likelihood. `signs` [n, k], the first being the bias, which is free; `within` [n] 0 or 1."""
    ridge = np.full(signs.shape[1], SCOPE_RIDGE * len(signs))
    ridge[0] = 0.0

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        log_odds = signs @ weights
        value = np.logaddexp(0.0, log_odds).sum() - within @ log_odds + (ridge * weights**2).sum()
        return float(value), signs.T @ (1.0 / (1.0 + np.exp(-log_odds)) - within) + 2 * ridge * weights

    return loss


def _least(loss: Loss, count: int) -> list[float]:
    found = minimize(loss, np.zeros(count), jac=True, method="L-BFGS-B")
    return [round(float(weight), 2) for weight in found.x]


def slips(sounds: dict[str, str], text: str) -> dict[str, str]:
    """The text with one slip of typing, by kind: the same always, at a place that the text decides."""
    alike: dict[str, list[str]] = {}
    for char, sound in sounds.items():
        alike.setdefault(sound, []).append(char)

    def at(place: int, written: str, width: int = 1) -> str:
        return text[:place] + written + text[place + width :]

    chance = random.Random(text)
    one, two, three, four = (chance.randrange(len(text)) for _ in range(4))
    word = chance.choice(rjieba.cut(text, False))
    spoken = sounds.get(text[one], "")
    return {
        "same_sound": at(one, chance.choice(alike.get(spoken, [text[one]]))),
        "left_out": at(two, ""),
        "swapped": at(three, text[three + 1 : three + 2] + text[three], 2),
        "doubled": at(four, text[four] * 2),
        "pinyin": text.replace(word, "".join(sounds.get(char, char) for char in word), 1),
    }
