"""Personal data at rest: nothing readable in the database, nothing that opens elsewhere, and keys that change."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec import structs

from infra import fields
from infra.cipher import KEY_FILE, CannotOpenError, Cipher
from infra.db import Database, NoKeysError, Transaction
from infra.settings import Settings
from market import doctor
from market.calendars.service import DeadlinesSource
from market.cli import main
from market.enterprises import queries as enterprises
from market.errors import ContactUnreadable
from market.needs import queries as needs
from market.needs import service
from market.needs.model import Submission
from market.personal.service import seal_all
from tests.conftest import DATA_KEY, Clone, open_database
from tests.factories import World, holding

pytestmark = pytest.mark.anyio

PHONE, NAME = "13900001234", "测试联系人"
SET_CLEAR = """
UPDATE needs SET contact_name = $2, contact_phone = $3, contact_name_sealed = NULL, contact_phone_sealed = NULL
WHERE id = $1
"""


async def submit(tx: Transaction, world: World, phone: str = PHONE) -> int:
    submission = Submission(body="想申请发明专利", contact_name=NAME, contact_phone=phone)
    need = await service.submit(tx, world.actors["enterprise"], submission, await DeadlinesSource().get(tx))
    assert (need.contact_name, need.contact_phone, need.contact_whole) == (NAME, phone, True)
    return need.id


async def test_a_contact_is_nowhere_in_the_clear_and_opens_in_its_row_only(tx: Transaction, world: World) -> None:
    one, two = await submit(tx, world), await submit(tx, world, "13900009999")
    for text in (PHONE, NAME):
        assert await holding(tx, text) == []
    assert (await needs.contact(tx, one)).phone == PHONE
    found = await needs.find_for_job(tx, one)
    assert found is not None
    assert (found.contact_name, found.contact_phone, found.contact_whole) == ("测**", "139****1234", False)
    copy = "UPDATE needs t SET {0} = s.{1} FROM needs s WHERE t.id = $1 AND s.id = $2"
    await tx.execute(copy.format("contact_phone_sealed", "contact_phone_sealed"), two, one)
    with pytest.raises(CannotOpenError):
        await needs.contact(tx, two)
    await tx.execute(copy.format("contact_name_sealed", "contact_phone_sealed"), one, one)
    with pytest.raises(CannotOpenError):
        await needs.contact(tx, one)


async def test_a_changed_value_is_noticed_and_work_goes_on(tx: Transaction, world: World) -> None:
    one = await submit(tx, world)
    flip = "UPDATE needs SET contact_phone_sealed = set_byte(contact_phone_sealed, 20, $2) WHERE id = $1"
    await tx.execute(
        flip, one, await tx.fetchval("SELECT get_byte(contact_phone_sealed, 20) # 1 FROM needs WHERE id = $1", one)
    )
    found = await needs.find_for_job(tx, one)
    assert found is not None
    assert found.contact_phone.startswith("****"), "nobody is kept from matching it"
    with pytest.raises(ContactUnreadable):
        await service.show(tx, world.actors["enterprise"], one)
    await tx.execute("UPDATE needs SET contact_phone_sealed = '\\x' WHERE id = $1", one)
    with pytest.raises(ContactUnreadable):
        await service.show(tx, world.actors["enterprise"], one)


async def test_another_key_opens_nothing(clone: Clone, world: World) -> None:
    settings = await clone()
    db = open_database(settings)
    async with db.transaction() as tx:
        need_id = await submit(tx, world)
        tx.keys = lambda: Cipher(["other" * 8])
        with pytest.raises(CannotOpenError):
            await needs.contact(tx, need_id)
        with pytest.raises(CannotOpenError):
            await enterprises.own(tx, world.actors["enterprise"].enterprise_id or 0)
        with pytest.raises(CannotOpenError):
            await fields.seal_rows(tx, fields.NEEDS, 0, 10)
        tx.keys = lambda: Cipher([DATA_KEY])
        assert (await needs.contact(tx, need_id)).phone == PHONE, "nothing was written with it"
    await db.close()


async def test_who_has_no_keys_is_told(settings: Settings) -> None:
    assert settings.database_url is not None
    db = Database(settings.database_url, size=1, wait=5, statement_timeout_ms=5000, lock_timeout_ms=500, name="test")
    with pytest.raises(NoKeysError):
        async with db.transaction() as tx:
            await needs.draw(tx, 1)
    await db.close()


async def test_what_the_release_before_wrote_is_read_and_then_sealed(clone: Clone, world: World) -> None:
    db = open_database(await clone())
    async with db.transaction() as tx:
        ids = [await submit(tx, world) for _ in range(5)]
        for one in ids[:3]:
            await tx.execute(SET_CLEAR, one, NAME, PHONE)
        assert await holding(tx, PHONE) == ["needs"]
        assert await fields.in_clear(tx) == 3
        assert (await needs.contact(tx, ids[0])).phone == PHONE
    assert await seal_all(db, fields.NEEDS, 2) == 3
    assert await seal_all(db, fields.NEEDS, 2) == 0, "nothing is left"
    async with db.reading() as tx:
        assert await holding(tx, PHONE) == []
        for one in ids:
            known = await needs.contact(tx, one)
            assert (known.name, known.phone) == (NAME, PHONE)
    await db.close()


async def test_what_is_changed_while_it_is_sealed_is_not_lost(clone: Clone, world: World) -> None:
    db = open_database(await clone())
    async with db.transaction() as tx:
        one = await submit(tx, world)
        await tx.execute(SET_CLEAR, one, NAME, PHONE)
    async with db.transaction() as tx:
        batch = asyncio.Event()
        real = tx.fetch

        async def slow(statement: str, *given: object) -> object:
            rows = await real(statement, *given)
            async with db.transaction() as other:
                await other.execute(SET_CLEAR, one, NAME, "13811112222")
            batch.set()
            return rows

        tx.fetch = slow  # type: ignore[assignment,method-assign]
        assert await fields.seal_rows(tx, fields.NEEDS, 0, 10) == (0, one), "passed over"
        del tx.fetch
    assert batch.is_set()
    assert await seal_all(db, fields.NEEDS) == 1
    async with db.reading() as tx:
        assert (await needs.contact(tx, one)).phone == "13811112222"
    await db.close()


# rotation ------------------------------------------------------------------------------------------------------------


def kept(settings: Settings) -> dict[str, str]:
    """The environment of a command on that database whose keys lie in the folder."""
    return {
        "ZHIPEI_DATABASE_URL": str(settings.database_url),
        "ZHIPEI_MIGRATE_URL": str(settings.migrate_url or settings.database_url),
        "ZHIPEI_REDIS_URL": str(settings.redis_url),
        "ZHIPEI_DATA_DIR": str(settings.data_dir),
    }


def zhipei(env: dict[str, str], *words: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, words, env=env)
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
async def many(clone: Clone, world: World) -> Settings:
    """A database of 400 needs, sealed with the key in the file ``secret`` of its folder."""
    settings = await clone()
    db = open_database(settings)
    async with db.transaction() as tx:
        for number in range(400):
            await submit(tx, world, f"139{number:08d}")
    await db.close()
    (settings.data_dir / "secret").write_text(DATA_KEY)
    return settings


async def check(settings: Settings) -> dict[str, int]:
    """All 400 contacts as they were; how many values each key has sealed."""
    db = Database(
        settings.database_url or "", size=2, wait=5, statement_timeout_ms=9000, lock_timeout_ms=900, name="test",
        keys=lambda: Cipher([*(settings.data_dir / KEY_FILE).read_text().split(), DATA_KEY]),
    )  # fmt: skip
    async with db.reading() as tx:
        ids = [row[0] for row in await tx.fetch("SELECT id FROM needs ORDER BY id")]
        phones = [(await needs.contact(tx, one)).phone for one in ids]
        used = dict(await fields.used(tx))
    await db.close()
    assert phones == [f"139{number:08d}" for number in range(400)]
    return used


async def test_keys_are_rotated_by_command(many: Settings) -> None:
    env = kept(many)
    before = await asyncio.to_thread(zhipei, env, "keys", "list")
    assert "  seals    804 values" in before, before
    said = await asyncio.to_thread(zhipei, env, "keys", "rotate")
    assert "402 rows sealed anew" in said, said
    used = await check(many)
    assert list(used.values()) == [804], "400 needs and two enterprises, two values each"
    after = await asyncio.to_thread(zhipei, env, "keys", "list")
    assert "  seals    804 values" in after
    assert "  opens    0 values" in after
    assert before.split()[0] in after, "the old key still opens links that are out"
    db = open_database(many)
    async with db.reading() as tx:
        steps = await tx.fetch(
            "SELECT data ->> 'step' AS step, object FROM audit WHERE action = 'rotate_keys' ORDER BY id"
        )
    await db.close()
    assert [(row["step"], row["object"]) for row in steps] == [
        (one, f"key:{next(iter(used))}") for one in ("begin", "end")
    ]


async def test_a_rotation_killed_half_way_goes_on_with_the_same_key(many: Settings) -> None:
    env = dict(os.environ) | kept(many)
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "market.cli", "keys", "rotate", "--batch", "1", env=env,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    for _ in range(3000):
        await asyncio.sleep(0.01)
        if (many.data_dir / KEY_FILE).exists() and len(await check(many)) == 2:
            break
    running.send_signal(signal.SIGKILL)
    await running.wait()
    half = await check(many)
    assert len(half) == 2, "killed between two rows, with all of them readable"
    keys = (many.data_dir / KEY_FILE).read_text()
    assert "rows sealed anew" in await asyncio.to_thread(zhipei, kept(many), "keys", "rotate")
    assert (many.data_dir / KEY_FILE).read_text() == keys, "no third key"
    assert list((await check(many)).values()) == [804]


async def test_a_key_of_the_settings_is_put_in_front_by_hand(many: Settings) -> None:
    env = {name: value for name, value in kept(many).items() if name != "ZHIPEI_DATA_DIR"}
    lost = await asyncio.to_thread(zhipei, env | {"ZHIPEI_SECRET": DATA_KEY}, "keys", "rotate", code=1)
    assert "ZHIPEI_DATA_KEY" in lost
    new = env | {"ZHIPEI_DATA_KEY": f"{'n' * 32},{DATA_KEY}"}
    assert "402 rows sealed anew" in await asyncio.to_thread(zhipei, new, "keys", "rotate")
    assert "0 rows sealed anew" in await asyncio.to_thread(zhipei, new, "keys", "rotate")
    alone = env | {"ZHIPEI_DATA_KEY": "n" * 32}
    assert "804 values" in await asyncio.to_thread(zhipei, alone, "keys", "list")
    wrong = env | {"ZHIPEI_DATA_KEY": "w" * 32}
    assert "MISSING  804 values" in await asyncio.to_thread(zhipei, wrong, "keys", "list", code=1)
    assert "is missing" in await asyncio.to_thread(zhipei, wrong, "keys", "rotate", code=1)


async def test_doctor_says_what_to_do_where_the_key_is_not_there(many: Settings, tmp_path: Path) -> None:
    """As after restoring a backup without the folder's secret."""
    good = {one.what: one for one in await doctor.examine(many)}["keys"]
    assert good.fine, good
    elsewhere = structs.replace(many, data_key=None, data_dir=tmp_path)
    bad = {one.what: one for one in await doctor.examine(elsewhere)}["keys"]
    assert not bad.fine
    assert "804 values" in bad.found
    assert "ZHIPEI_DATA_KEY" in bad.remedy
    assert not (tmp_path / "secret").exists(), "no key is made in the place of the right one"
    db = open_database(many)
    async with db.transaction() as tx:
        await tx.execute(SET_CLEAR, await tx.fetchval("SELECT min(id) FROM needs"), NAME, PHONE)
    await db.close()
    clear = {one.what: one for one in await doctor.examine(many)}["keys"]
    assert (clear.fine, clear.found) == (False, "1 rows are not sealed yet")
