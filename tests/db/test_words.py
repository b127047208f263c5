"""An installation's own words reach a running process: it is not started again."""

from pathlib import Path

import pytest

from infra.db import Transaction
from market.matches import ranking

pytestmark = pytest.mark.anyio

TEXT = "过档怎么办"


async def test_changed_words_are_used_for_the_next_need(tx: Transaction, tmp_path: Path) -> None:
    source = ranking.CatalogueSource(tmp_path)
    before = await source.get(tx)
    assert (await source.get(tx)).understander is before.understander
    assert ranking.understand(before, TEXT).outside_scope

    own = tmp_path / "synonyms.json"
    own.write_text('{"groups": [["商标转让", "过档"]]}')
    taught = await source.get(tx)
    assert ranking.understand(taught, TEXT).rights == ("trademark",)

    own.write_text("{")
    assert (await source.get(tx)).understander is taught.understander

    own.unlink()
    assert ranking.understand(await source.get(tx), TEXT).outside_scope
