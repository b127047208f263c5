"""``zhipei evaluate``: one JSON object as the last line, and errors that say what is wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.datasets import dump_svmlight_file

from market.evaluate_cli import evaluate


def report(*arguments: str) -> dict[str, float]:
    result = CliRunner().invoke(evaluate, arguments)
    assert result.exit_code == 0, result.output
    found: dict[str, float] = json.loads(result.output.splitlines()[-1])
    return found


def failure(*arguments: str) -> str:
    result = CliRunner().invoke(evaluate, arguments)
    assert result.exit_code == 1, result.output
    return result.output


def judged(path: Path, *, qid: bool, sizes: bool) -> str:
    random = np.random.default_rng(0)
    values = random.random((400, 3))
    needs = np.repeat(np.arange(40), 10)
    dump_svmlight_file(values, np.round(2 * values[:, 0]), str(path), zero_based=False, query_id=needs if qid else None)
    if sizes:
        path.with_name(path.name + ".query").write_text("10\n" * 40)
    return str(path)


@pytest.mark.parametrize(("qid", "sizes"), [(True, False), (False, True)])
def test_ltr(tmp_path: Path, qid: bool, sizes: bool) -> None:
    train, test = (judged(tmp_path / name, qid=qid, sizes=sizes) for name in ("train", "test"))
    found = report("ltr", train, test)
    assert set(found) == {"ndcg@1", "ndcg@5", "ndcg@10", "score_200_us", "parts_max_error"}
    assert found["ndcg@10"] > 0.95
    assert found["parts_max_error"] <= 1e-9


def test_ltr_without_groups(tmp_path: Path) -> None:
    path = judged(tmp_path / "train", qid=False, sizes=False)
    assert "no qid" in failure("ltr", path, path)
    path = judged(tmp_path / "train", qid=False, sizes=True)
    (tmp_path / "train.query").write_text("10\n")
    assert "has 400" in failure("ltr", path, path)
    (tmp_path / "train").write_text("not svmlight")
    assert "Error" in failure("ltr", path, path)


def test_retrieval(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    given = {
        "corpus": ["商标续展", "专利申请", "专利申请"],
        "queries": ["续展商标", "专利", "版权"],
        "rel": [[0], [1], [2]],
    }
    path.write_text(json.dumps(given))
    found = report("retrieval", str(path))
    assert set(found) == {"mrr@10", "recall@10", "us_per_query"}
    assert found["mrr@10"] == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert found["recall@10"] == pytest.approx(2 / 3)
    for bad in ("no json", "{}", json.dumps(given | {"rel": [[0]]}), json.dumps(given | {"rel": [[0], [1], [3]]})):
        path.write_text(bad)
        assert "not a retrieval set" in failure("retrieval", str(path))


def test_assign() -> None:
    found = report("assign", "--needs", "300", "--offerings", "30", "--candidates", "10")
    assert set(found) == {"utility_per_need", "matched", "seconds", "peak_mb", "optimal"}
    assert found["optimal"] is True
    assert found["matched"] == 1
    assert report("assign", "--needs", "0")["optimal"] is True
    assert "different candidates" in failure("assign", "--offerings", "3")
