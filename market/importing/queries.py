"""All SQL of importing. Rows go in as one JSON array a statement: a statement a row would move the catalogue's stamp,
which is a single row, as many times in one transaction, each time more slowly.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from infra.db import Transaction
from market.data import CalendarDay, CalendarYear, EnterpriseKindData, Industry, InstitutionKindData
from market.importing.model import CalendarDayForm
from market.institutions.model import InstitutionForm
from market.offerings.model import OfferingForm
from market.regions.model import Region

# Reading a large file, or inventing a demo, takes time in which the connection has nothing to do.
EDITION = "INSERT INTO fact_editions (sha256) VALUES ($1) ON CONFLICT DO NOTHING RETURNING sha256"
PATIENT = "SET LOCAL idle_in_transaction_session_timeout = 0"
# A row that is as it was is not written, so that loading twice changes nothing, and says so.
REGIONS = """
INSERT INTO regions (code, name, level, parent_code)
SELECT code, name, level, parent_code
FROM jsonb_to_recordset($1) AS g (code text, name text, level smallint, parent_code text)
ON CONFLICT (code) DO UPDATE SET name = excluded.name, level = excluded.level, parent_code = excluded.parent_code
WHERE (regions.name, regions.level, regions.parent_code)
      IS DISTINCT FROM (excluded.name, excluded.level, excluded.parent_code)
"""
INDUSTRIES = """
INSERT INTO industries (code, name, level, parent_code)
SELECT code, name, level, parent_code
FROM jsonb_to_recordset($1) AS g (code text, name text, level text, parent_code text)
ON CONFLICT (code) DO UPDATE SET name = excluded.name, level = excluded.level, parent_code = excluded.parent_code
WHERE (industries.name, industries.level, industries.parent_code)
      IS DISTINCT FROM (excluded.name, excluded.level, excluded.parent_code)
"""
INSTITUTION_KINDS = """
INSERT INTO institution_kinds (code, name, name_en)
SELECT code, name, name_en FROM jsonb_to_recordset($1) AS g (code text, name text, name_en text)
ON CONFLICT (code) DO UPDATE SET name = excluded.name, name_en = excluded.name_en
WHERE (institution_kinds.name, institution_kinds.name_en) IS DISTINCT FROM (excluded.name, excluded.name_en)
"""
ENTERPRISE_KINDS = """
INSERT INTO enterprise_kinds (code, name, name_en)
SELECT code, name, name_en FROM jsonb_to_recordset($1) AS g (code text, name text, name_en text)
ON CONFLICT (code) DO UPDATE SET name = excluded.name, name_en = excluded.name_en
WHERE (enterprise_kinds.name, enterprise_kinds.name_en) IS DISTINCT FROM (excluded.name, excluded.name_en)
"""
CALENDAR_DAYS = """
INSERT INTO calendar_days (region_code, day, working, name)
SELECT '000000', day, working, name FROM jsonb_to_recordset($1) AS g (day date, working boolean, name text)
ON CONFLICT (region_code, day) DO UPDATE SET working = excluded.working, name = excluded.name
WHERE (calendar_days.working, calendar_days.name) IS DISTINCT FROM (excluded.working, excluded.name)
"""
CALENDAR_YEARS = """
INSERT INTO calendar_years (year, source)
SELECT year, notice FROM jsonb_to_recordset($1) AS g (year smallint, notice text)
ON CONFLICT (year) DO UPDATE SET source = excluded.source WHERE calendar_years.source <> excluded.source
"""

# Any region's days; a notice of the nation that names a whole year announces it. xmax tells new rows from changed ones.
DAYS = """
INSERT INTO calendar_days (region_code, day, working, name)
SELECT region_code, day, working, name
FROM jsonb_to_recordset($1) AS g (region_code text, day date, working boolean, name text)
ON CONFLICT (region_code, day) DO UPDATE SET working = excluded.working, name = excluded.name
WHERE (calendar_days.working, calendar_days.name) IS DISTINCT FROM (excluded.working, excluded.name)
RETURNING xmax = 0 AS added
"""
ANNOUNCED = """
INSERT INTO calendar_years (year, source)
SELECT DISTINCT ON (year) year, coalesce(nullif(notice, ''), 'imported')
FROM jsonb_to_recordset($1) AS g (year smallint, notice text) WHERE year IS NOT NULL
ON CONFLICT (year) DO UPDATE SET source = excluded.source WHERE calendar_years.source <> excluded.source
"""

REGION_ROWS = "SELECT code, name, level, parent_code FROM regions ORDER BY code"
INSTITUTION_IDS = "SELECT uscc, id FROM institutions"
INSTITUTION_ROWS = """
SELECT i.uscc, v.name, v.kind, v.region_code, v.address, v.phone, v.summary
FROM institutions i JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
WHERE i.uscc = ANY($1::text[])
"""
SAVE_INSTITUTIONS = """
WITH given AS (
    SELECT * FROM jsonb_to_recordset($1) AS g (uscc text, name text, kind text, region_code text, address text,
                                               phone text, summary text)
), kept AS (
    INSERT INTO institutions (uscc, version) SELECT uscc, 1 FROM given
    ON CONFLICT (uscc) DO UPDATE SET version = institutions.version + 1 RETURNING id, version, uscc
)
INSERT INTO institution_versions (institution_id, version, name, kind, region_code, address, phone, summary)
SELECT k.id, k.version, g.name, g.kind, g.region_code, g.address, g.phone, g.summary
FROM kept k JOIN given g USING (uscc)
"""
OFFERING_ROWS = """
SELECT f.id, f.institution_id, v.item_code, v.title, v.summary, v.region_codes, v.audience, v.channels, v.fee,
       v.promised_days, f.capacity, v.guide
FROM offerings f JOIN offering_versions v ON v.offering_id = f.id AND v.version = f.version
WHERE f.institution_id = ANY($1::bigint[]) ORDER BY f.id DESC
"""
GIVEN_OFFERINGS = """
SELECT * FROM jsonb_to_recordset($1) AS g (
    id bigint, institution_id bigint, item_code text, title text, summary text, guide jsonb, region_codes text[],
    audience text[], channels text[], fee text, promised_days integer, capacity integer)
"""


def _with_versions(given_and_kept: str) -> str:
    """A statement that also writes the version each kept offering now has."""
    return f"""
WITH {given_and_kept.strip()}
INSERT INTO offering_versions (offering_id, version, item_code, item_version, title, summary, guide, region_codes,
                               audience, channels, fee, promised_days)
SELECT k.id, k.version, i.code, i.version, g.title, g.summary, g.guide, g.region_codes, g.audience, g.channels, g.fee,
       g.promised_days
FROM kept k JOIN given g USING (id) JOIN service_items i ON i.code = g.item_code
"""


# The id is drawn first, for RETURNING could not tell which of two new offerings is which.
ADD_OFFERINGS = _with_versions(f"""
given AS MATERIALIZED (
    SELECT nextval(pg_get_serial_sequence('offerings', 'id')) AS id, g.institution_id, g.item_code, g.title, g.summary,
           g.guide, g.region_codes, g.audience, g.channels, g.fee, g.promised_days, g.capacity
    FROM ({GIVEN_OFFERINGS}) AS g
), kept AS (
    INSERT INTO offerings (id, institution_id, item_code, state, version, capacity) OVERRIDING SYSTEM VALUE
    SELECT id, institution_id, item_code, 'published', 1, capacity FROM given RETURNING id, version
)
""")
REVISE_OFFERINGS = _with_versions(f"""
given AS ({GIVEN_OFFERINGS}), kept AS (
    UPDATE offerings f SET version = f.version + 1, capacity = g.capacity FROM given g WHERE f.id = g.id
    RETURNING f.id, f.version
)
""")


class OfferingToWrite(Struct, frozen=True):
    """An offering with the institution it belongs to; ``id`` is None for a new one."""

    institution_id: int
    form: OfferingForm
    id: int | None = None


async def begin_edition(tx: Transaction, sha256: str) -> bool:
    """Whether this edition of the shipped facts has not been stored yet; it is noted as stored."""
    return await tx.fetchval(EDITION, sha256) is not None


async def be_patient(tx: Transaction) -> None:
    """Let this transaction, and no later one, be idle for as long as it takes."""
    await tx.execute(PATIENT)


async def save_regions(tx: Transaction, regions: Sequence[Region]) -> int:
    """How many regions were new or different."""
    return _count(await tx.execute(REGIONS, regions))


async def save_industries(tx: Transaction, industries: Sequence[Industry]) -> int:
    """How many classes were new or different."""
    return _count(await tx.execute(INDUSTRIES, industries))


async def save_kinds(
    tx: Transaction, institutions: Sequence[InstitutionKindData], enterprises: Sequence[EnterpriseKindData]
) -> int:
    """How many kinds were new or different."""
    return _count(await tx.execute(INSTITUTION_KINDS, institutions)) + _count(
        await tx.execute(ENTERPRISE_KINDS, enterprises)
    )


async def save_calendar(tx: Transaction, days: Sequence[CalendarDay], years: Sequence[CalendarYear]) -> int:
    """How many days and years were new or different."""
    return _count(await tx.execute(CALENDAR_DAYS, days)) + _count(await tx.execute(CALENDAR_YEARS, years))


async def save_days(tx: Transaction, days: Sequence[CalendarDayForm]) -> tuple[int, int]:
    """How many days were new, and how many different."""
    written = [row["added"] for row in await tx.fetch(DAYS, days)]
    await tx.execute(ANNOUNCED, days)
    return sum(written), len(written) - sum(written)


async def regions(tx: Transaction) -> list[Region]:
    """All regions, by code."""
    return [Region(*row.values()) for row in await tx.fetch(REGION_ROWS)]


async def institution_ids(tx: Transaction) -> dict[str, int]:
    """Ids by social credit code."""
    return {row["uscc"]: row["id"] for row in await tx.fetch(INSTITUTION_IDS)}


async def institutions(tx: Transaction, usccs: list[str]) -> dict[str, InstitutionForm]:
    """Those of the institutions that are stored, as they are now, by code."""
    rows = await tx.fetch(INSTITUTION_ROWS, usccs)
    return {row["uscc"]: InstitutionForm(**dict(row)) for row in rows}


async def save_institutions(tx: Transaction, forms: Sequence[InstitutionForm]) -> None:
    """Store each as the next version of the institution with its code, or as the first of a new one."""
    await tx.execute(SAVE_INSTITUTIONS, forms)


async def offerings(tx: Transaction, institution_ids: list[int]) -> dict[tuple[int, str, str], OfferingToWrite]:
    """The institutions' offerings as they are now, by institution, item and title; of two alike the older one."""
    return {
        (row["institution_id"], row["item_code"], row["title"]): OfferingToWrite(
            row["institution_id"],
            msgspec.convert({name: row[name] for name in OfferingForm.__struct_fields__}, OfferingForm),
            row["id"],
        )
        for row in await tx.fetch(OFFERING_ROWS, institution_ids)
    }


async def add_offerings(tx: Transaction, offerings: Sequence[OfferingToWrite]) -> None:
    """Publish new offerings under the versions of their items now in force."""
    await tx.execute(ADD_OFFERINGS, [_flat(offering) for offering in offerings])


async def revise_offerings(tx: Transaction, offerings: Sequence[OfferingToWrite]) -> None:
    """Store each offering's next version."""
    await tx.execute(REVISE_OFFERINGS, [_flat(offering) for offering in offerings])


def _flat(offering: OfferingToWrite) -> dict[str, object]:
    return {"id": offering.id, "institution_id": offering.institution_id} | msgspec.structs.asdict(offering.form)


def _count(status: str) -> int:
    """Rows written, from a command's status such as ``INSERT 0 12``."""
    return int(status.rsplit(" ", 1)[1])
