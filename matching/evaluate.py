"""How good a ranking, a calibration or an assignment is; and whether a new model may replace the old."""

from collections.abc import Iterable, Mapping

import numpy as np
from msgspec import Struct

from matching.lambdarank import discounts, positions
from matching.types import BoolArray, FloatArray, IntArray, Lang


def ndcg(scores: FloatArray, grades: FloatArray, needs: IntArray, *, k: int) -> FloatArray:
    """NDCG@k of every need, in the order of their sorted ids; gains 2^grade − 1; all inputs [n].

    NaN for a need without a single candidate above grade 0: no order of it is better than another. Equal scores keep
    the rows' order.
    """
    _, need, sizes = np.unique(needs, return_inverse=True, return_counts=True)
    start = np.cumsum(sizes) - sizes
    gains = 2.0**grades - 1.0

    def dcg(order_by: FloatArray) -> FloatArray:
        position = positions(order_by, need, start)
        return np.bincount(need, gains * discounts(position) * (position < k), minlength=len(sizes)).astype(np.float64)

    ideal = dcg(grades)
    quality: FloatArray = np.divide(dcg(scores), ideal, out=np.full(len(sizes), np.nan), where=ideal > 0)
    return quality


def calibration_error(probability: FloatArray, happened: BoolArray, *, bins: int = 10) -> float:
    """Expected calibration error: mean distance between promised and observed share, in bins by quantile."""
    if len(probability) == 0:
        return 0.0
    bin_ = np.searchsorted(np.quantile(probability, np.arange(1, bins) / bins), probability)
    return float(np.abs(np.bincount(bin_, probability - happened)).sum() / len(probability))


def paired_bootstrap(difference: FloatArray, *, rounds: int = 2_000, seed: int = 0) -> tuple[float, float]:
    """Where the mean of `difference` [needs] lies with 95 % confidence; (0, 0) where there is none.

    Whole needs are drawn, because the candidates of one need are not independent.
    """
    if len(difference) == 0:
        return 0.0, 0.0
    random = np.random.default_rng(seed)
    means = [difference[random.integers(0, len(difference), len(difference))].mean() for _ in range(rounds)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def gini(counts: FloatArray) -> float:
    """0 where all have the same, towards 1 where one has everything; 0 for nobody or nothing."""
    if counts.sum() <= 0:
        return 0.0
    ascending = np.sort(counts)
    share = np.arange(1, len(counts) + 1) @ ascending / ascending.sum()
    return float((2 * share - len(counts) - 1) / len(counts))


class Balance(Struct, frozen=True):
    """How work and service are spread: published with every assignment rule.

    `gini`, `top_tenth` (share of all matches) and `idle` (share without any) are over institutions;
    `worst_twentieth` is the mean utility of the worst-served twentieth of needs, the unmatched counted as 0.
    """

    gini: float
    top_tenth: float
    idle: float
    worst_twentieth: float


def balance(matches: IntArray, utility: FloatArray) -> Balance:
    """From the `matches` of each institution [m] and the `utility` each need got [n]."""
    tenth, twentieth = -(-len(matches) // 10), -(-len(utility) // 20)
    best = np.sort(matches)[::-1][:tenth]
    return Balance(
        gini=gini(matches.astype(np.float64)),
        top_tenth=float(best.sum() / max(matches.sum(), 1)),
        idle=float((matches == 0).mean()) if len(matches) else 0.0,
        worst_twentieth=float(np.sort(utility)[:twentieth].mean()) if len(utility) else 0.0,
    )


class Snips(Struct, frozen=True):
    """`value` the mean reward a policy would have earned, `error` its standard error, `effective` the needs it rests
    on: as many as were shown, if the policies agree, few where the logs hardly show what the new one would do."""

    value: float
    error: float
    effective: float

    @property
    def low(self) -> float:
        """Where the value lies with 95 % confidence: from here …"""
        return self.value - 1.96 * self.error

    @property
    def high(self) -> float:
        """… to here."""
        return self.value + 1.96 * self.error


def snips(reward: FloatArray, logged: FloatArray, target: FloatArray, *, most: float = 20.0) -> Snips:
    """Self-normalised inverse propensity score (Swaminathan and Joachims, 2015) from lists that were shown; all [n].

    `logged`, `target`: the probability that the policy in force, or the one judged, shows what was shown. Weights are
    cut at `most`. Raises ValueError unless every logged probability is above 0.
    """
    if not (logged > 0).all():
        raise ValueError("what was shown had a probability above 0")
    weight = np.minimum(target / logged, most)
    total = weight.sum()
    if total == 0:
        return Snips(value=0.0, error=float("inf"), effective=0.0)
    value = float(weight @ reward / total)
    error = float(np.sqrt(np.sum((weight * (reward - value)) ** 2)) / total)
    return Snips(value, error, float(total**2 / (weight @ weight)))


class Trial(Struct, frozen=True, eq=False):
    """Held-out needs, later than all the challenger was trained on, scored by both models.

    Rows are candidates: `champion` and `challenger` scores, `grades`, `needs`, all [n]. `groups`: by name
    ("category", "region"), the group of every row's need [n]. `probability` and `accepted` [a]: what the challenger
    promised and what institutions answered. `champion_snips`, `challenger_snips`: both from the same logs.
    """

    champion: FloatArray
    challenger: FloatArray
    grades: FloatArray
    needs: IntArray
    groups: Mapping[str, IntArray]
    probability: FloatArray
    accepted: BoolArray
    champion_snips: Snips
    challenger_snips: Snips


class Bars(Struct, frozen=True):
    """What a challenger must keep. A group of fewer than `group_needs` needs tells nothing."""

    worst_change: float = -0.01
    calibration_error: float = 0.03
    worst_group: float = -0.03
    group_needs: int = 20


class Verdict(Struct, frozen=True):
    """`failed` names the bars that were missed, with what was measured; none: promote."""

    failed: tuple[str, ...]
    metrics: Mapping[str, float]

    @property
    def promote(self) -> bool:
        return not self.failed


MISSES: Mapping[str, Mapping[Lang, str]] = {
    "judged": {"en": "no held-out need was judged", "zh": "留作检验的需求里没有能分出好坏的"},
    "change": {"en": "NDCG@10 may have changed by {:+.3f}", "zh": "排序质量（NDCG@10）最坏可能变化 {:+.3f}"},
    "calibration": {"en": "calibration error {:.3f}", "zh": "许诺的接单概率与实际相差 {:.3f}"},
    "snips": {"en": "SNIPS {:.3f} after {:.3f}", "zh": "按历史派单折算（SNIPS）得 {:.3f}，现用的得 {:.3f}"},
    "group": {
        "en": "{} {}: NDCG@10 changed by {:+.3f} in {} needs",
        "zh": "{} {} 的排序质量（NDCG@10）变化 {:+.3f}（{} 条需求）",
    },
}
"""A missed bar in words."""


def gate(trial: Trial, bars: Bars, *, lang: Lang = "en") -> Verdict:
    """Whether the challenger may replace the champion, and if not, why, in that language. Deterministic."""
    old = ndcg(trial.champion, trial.grades, trial.needs, k=10)
    new = ndcg(trial.challenger, trial.grades, trial.needs, k=10)
    judged = ~np.isnan(old)
    change = (new - old)[judged]
    low, high = paired_bootstrap(change)
    measured = {
        "needs": float(judged.sum()),
        "ndcg@10": float(new[judged].mean()) if judged.any() else 0.0,
        "change": float(change.mean()) if judged.any() else 0.0,
        "change_low": low,
        "change_high": high,
        "calibration_error": calibration_error(trial.probability, trial.accepted),
        "snips": trial.challenger_snips.value,
        "snips_champion": trial.champion_snips.value,
    }
    failures = _failures(trial, bars, measured, change, judged)
    return Verdict(tuple(MISSES[bar][lang].format(*values) for bar, values in failures), measured)


def _failures(
    trial: Trial, bars: Bars, measured: Mapping[str, float], change: FloatArray, judged: BoolArray
) -> Iterable[tuple[str, tuple[object, ...]]]:
    """Bars that were missed, by their names in MISSES, with what was measured."""
    if not judged.any():
        yield "judged", ()
    if measured["change_low"] < bars.worst_change:
        yield "change", (measured["change_low"],)
    if measured["calibration_error"] > bars.calibration_error:
        yield "calibration", (measured["calibration_error"],)
    if measured["snips"] < measured["snips_champion"] - trial.champion_snips.error:
        yield "snips", (measured["snips"], measured["snips_champion"])
    _, first = np.unique(trial.needs, return_index=True)
    for name, of_row in trial.groups.items():
        labels, group, sizes = np.unique(of_row[first][judged], return_inverse=True, return_counts=True)
        means = np.bincount(group, change) / sizes if len(sizes) else np.zeros(0)
        for label, mean, size in zip(labels.tolist(), means.tolist(), sizes.tolist(), strict=True):
            if size >= bars.group_needs and mean < bars.worst_group:
                yield "group", (name, label, mean, size)


def held_out(day: IntArray, share: float) -> BoolArray:
    """The latest `share` of rows by `day` [n], whole days at a time: a model is judged on what came after it.

    A last day that is more than the share is held out alone: a busy day must not leave nothing to judge by.
    """
    days = np.unique(day)
    if len(days) < 2 or share <= 0:
        return np.zeros(len(day), dtype=np.bool_)
    later: BoolArray = day > min(np.quantile(day, 1 - share, method="inverted_cdf"), days[-2])
    return later
