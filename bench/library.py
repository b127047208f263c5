"""Matching and search as libraries, against their bars: no server, no database. Each part makes findings of them."""

import asyncio
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from bench import assignment, coldstart, search, understanding
from bench.report import Finding, Part
from bench.stage import Effort
from market.evaluate_cli import RetrievalSet, retrieval_report

DATA = Path(os.environ.get("BENCH_DATA", Path(__file__).parents[2] / "shared" / "data"))
"""Public sets: they are not ours to ship. BENCH_DATA names another folder."""
RANKING, KEYWORDS, SENTENCES = (
    DATA / name for name in ("ltr/lgb_rank.train", "zh/zh_csl_kw2title.json", "zh/zh_csl_sent2title.json")
)


def ltr(_effort: Effort) -> Part:
    """Ranking against LightGBM's lambdarank."""
    name = "learning to rank"
    if not RANKING.exists():
        return missing(name, RANKING)
    from bench import ltr as measured  # noqa: PLC0415 - the peer is there only where the bench extra is

    found = measured.run(RANKING.parent)
    quality, serving = found["quality"], found["serving"]
    findings = [
        Finding("NDCG@10 on the public set", quality["ndcg@10"]),
        Finding("NDCG@10, LightGBM lambdarank, tuned alike", quality["lightgbm ndcg@10"]),
        Finding("how far behind LightGBM", quality["behind"], "", 0.01, at_most=True),
        Finding("largest error of the parts' sum", quality["parts_max_error"], "", 1e-9, at_most=True),
        Finding("score, explain, top 10 of 200: p99", serving["list_in_words_p99_us"], "µs", 1000),
        Finding("score 200, parts, top 10: median", serving["list_us"], "µs"),
        Finding("faster than LightGBM's predict alone", serving["times_faster"], "×", 5),
        Finding("the same with the reasons in words", serving["lightgbm_us"] / serving["list_in_words_us"], "×"),
    ]
    return Part(name, [], findings)


def retrieval(_effort: Effort) -> Part:
    """Chinese abstracts' keywords and sentences → titles (CSL)."""
    name, findings = "retrieval of Chinese texts", []
    for path, what, bar in ((KEYWORDS, "keywords → title", 0.92), (SENTENCES, "sentence → title", 0.84)):
        if not path.exists():
            return missing(name, path)
        found = retrieval_report(msgspec.json.decode(path.read_bytes(), type=RetrievalSet))
        findings += [
            Finding(f"CSL MRR@10, {what}", found["mrr@10"], "", bar),
            Finding(f"a query, {what}", found["us_per_query"], "µs"),
        ]
    return Part(name, [], findings)


def assigning(effort: Effort) -> Part:
    """Whole queues at the optimum."""
    large = (100_000, 5_000)
    found = assignment.run(tuple(size for size in assignment.SIZES if effort.thorough or size != large))
    findings = []
    for (needs, offerings), seconds, gigabytes in (((10_000, 1_000), 1.5, None), (large, 25, 2.5)):
        report = found.get(f"{needs} x {offerings}")
        if report is None:
            continue
        size = f"{needs:,} × {offerings:,}"
        findings += [
            Finding(f"{size}: proven optimum in", report["seconds"], "s", seconds),
            Finding(f"{size}: it is the optimum", float(report["optimal"]), "", 1),
            Finding(f"{size}: memory", report["peak_mb"] / 1000, "GB", gigabytes),
        ]
    policies, fair = found["policies"], found["minimum load"]
    findings += [
        Finding("utility to first come, first served", policies["optimum_of_those"] / policies["first_come"], "×"),
        Finding("utility to global greedy", policies["optimum"] / policies["greedy"], "×"),
        Finding("one by one with prices to without", policies["first_come_with_prices"] / policies["first_come"], "×"),
        Finding(
            "idle institutions to those without the rule",
            fair["idle"] / fair["idle_unconstrained"],
            "",
            1 / 3,
            at_most=True,
        ),
        Finding("utility that costs", 100 * fair["utility_lost"], "%", 0.5),
    ]
    return Part("assignment", [], findings)


def cold_start(effort: Effort) -> Part:
    """Learning on simulated markets, whose truth is known."""
    found = coldstart.run(coldstart.MARKETS if effort.thorough else 2)
    findings = []
    for judged in coldstart.JUDGED:
        what, gains = f"gain in NDCG@10, {judged} judged needs", found[f"{judged} needs"]
        # With fewer than FEWEST_NEEDS the blend is the scorecard: not below it, but nothing won either.
        findings += [
            Finding(f"{what}, mean of markets", gains["gain"], "", 0.04 if judged >= 40 else 0),
            Finding(f"{what}, unluckiest market", gains["worst"], "", 0),
        ]
    findings += [
        Finding("newcomers' exposure to a fair one, mean", found["newcomers"]["exposure"], "", 0.8),
        Finding("newcomers' exposure to a fair one, worst market", found["newcomers"]["exposure_worst"], "", 0.7),
        Finding("newcomers' matches to their capacity's share", found["newcomers"]["share"], "", 0.5),
    ]
    return Part("cold start on simulated markets", [], findings)


def understood(_effort: Effort) -> Part:
    """Needs in users' words, against plain TF-IDF."""
    findings = []
    for name, judged in understanding.run().items():
        ours, peer, slips = judged["zhipei"], judged["tf-idf"], judged["with one slip"].values()
        slip_top_1, slip_alarms = min(one.top_1 for one in slips), max(one.false_alarms for one in slips)
        findings += [
            Finding(f"{name}: the right item first", 100 * ours.top_1, "% of needs", 75),
            Finding(f"{name}: the right item first, TF-IDF", 100 * peer.top_1, "% of needs"),
            Finding(f"{name}: the right item among three", 100 * ours.top_3, "% of needs", 90),
            Finding(f"{name}: the right item among three, TF-IDF", 100 * peer.top_3, "% of needs"),
            Finding(f"{name}: outside scope recognised", 100 * ours.outside_recognised, "% of them", 90),
            Finding(f"{name}: false alarms", 100 * ours.false_alarms, "%", 3),
            Finding(f"{name}: the right item first, one slip in each, worst kind", 100 * slip_top_1, "% of needs"),
            Finding(f"{name}: false alarms, one slip in each, worst kind", 100 * slip_alarms, "%"),
        ]
    findings.append(Finding("a text, median", understanding.milliseconds(), "ms"))
    return Part("understanding", [], findings)


def searching(effort: Effort) -> Part:
    """Search: the judged set, and the embedded engine's times."""
    # The bench has an event loop already; this takes one of its own.
    with ThreadPoolExecutor(1) as thread:
        found = thread.submit(asyncio.run, search.run(full=effort.thorough)).result()
    findings = []
    for engine, quality in found.quality.items():
        findings += [
            Finding(f"{engine}: NDCG@10 of {quality.queries} judged queries", quality.ndcg),
            Finding(f"{engine}: queries without a result", 100 * quality.no_result, "%", 1),
        ]
    if peer := found.quality.get("meilisearch"):
        apart = abs(peer.ndcg - found.quality["embedded"].ndcg)
        findings.append(Finding("NDCG@10 of the engines apart", apart, "", 0.03, at_most=True))
    for size in found.sizes:
        many = f"{size.offerings:,} offerings"
        findings.append(Finding(f"{many}: rebuilt, 100,000 in", 100_000 / size.documents_per_second, "s"))
        for what, speed in size.speed.items():
            findings += [
                Finding(f"{many}, {what}: p50", speed.p50_ms, "ms"),
                Finding(f"{many}, {what}: p99", speed.p99_ms, "ms", speed.goal),
            ]
    return Part("search", [], findings)


def missing(name: str, path: Path) -> Part:
    """A part that cannot be measured here."""
    return Part(name, [], [], skipped=f"{path} is not there")


PARTS: Mapping[str, Callable[[Effort], Part]] = {
    "ltr": ltr,
    "retrieval": retrieval,
    "assignment": assigning,
    "coldstart": cold_start,
    "understanding": understood,
    "search": searching,
}
