"""Use cases of importing; each inside the caller's transaction, so that a file goes in as a whole or not at all."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from msgspec import structs

from infra.db import Transaction
from market import data
from market.audit import service as audit
from market.audit.model import TERMINAL, Action
from market.catalogue import queries as catalogue
from market.catalogue import service as catalogue_service
from market.catalogue.model import Guide, ItemContent, ItemList
from market.data import ItemData
from market.enterprises import queries as enterprises
from market.i18n import _
from market.importing import files, queries, rows
from market.importing.columns import columns_of, label_of, template
from market.importing.model import (
    CalendarDayForm,
    DryRun,
    FactsReport,
    ImportFailed,
    ItemForm,
    Kind,
    Problem,
    Report,
    Sheet,
)
from market.importing.queries import OfferingToWrite
from market.importing.rows import Form, OfferingRow, Vocabularies
from market.institutions import queries as institutions
from market.institutions.model import InstitutionForm

__all__ = ["DryRun", "FactsReport", "ImportFailed", "Report", "import_file", "load_facts", "load_sheet", "template"]

CHUNK = 1_000
"""Rows written by one statement."""

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Told how many steps are done, of how many."""
Step = Callable[[int], None]
"""Told how many more steps are done."""


async def load_facts(tx: Transaction) -> FactsReport:
    """Store the facts that Zhipei ships: once for each edition of them, so that what an admin changes later stays.

    What is stored already stays as it is; what differs from a new edition is brought up to date.
    """
    if not await queries.begin_edition(tx, data.digest()):
        return FactsReport(regions=0, industries=0, kinds=0, calendar=0, items=0)
    calendar, synonyms = data.load_calendar(), data.load_synonyms()
    return FactsReport(
        regions=await queries.save_regions(tx, data.load_regions()),
        industries=await queries.save_industries(tx, data.load_industries()),
        kinds=await queries.save_kinds(tx, data.load_institution_kinds(), data.load_enterprise_kinds()),
        calendar=await queries.save_calendar(tx, calendar.days, calendar.years),
        items=sum(
            [
                await catalogue_service.store(
                    tx, item.code, _shipped(item, synonyms.get(item.code, ())), number=item.number
                )
                for item in data.load_items().items
            ]
        ),
    )


async def import_file(
    tx: Transaction, path: Path, kind: Kind | None, *, progress: Progress, dry_run: bool = False
) -> Report:
    """Store what the file says; as ``load_sheet``, which it reads the file for.

    Raises:
        DryRun: asked for, and the file is fine: the transaction has to be rolled back.
    """
    report = await load_sheet(tx, await asyncio.to_thread(files.read, path), kind, progress)
    if dry_run:
        raise DryRun(report)
    await audit.record(tx, None, Action.IMPORT, report.kind, role=TERMINAL, added=report.added, revised=report.revised)
    return report


async def load_sheet(tx: Transaction, sheet: Sheet, kind: Kind | None, progress: Progress) -> Report:
    """Store what a sheet says (``files.read``); without ``kind`` its columns tell what it holds.

    What is stored already and differs gets a new version; what does not differ is left alone. A row counts as two
    steps of ``progress``: once read, once written.

    Raises:
        ImportFailed: with all that is wrong in the file; nothing of it was stored.
    """
    kind, meant = columns_of(sheet, kind)
    await queries.be_patient(tx)
    total = 2 * len(sheet.rows)
    done = 0

    def step(steps: int) -> None:
        nonlocal done
        done += steps
        progress(done, total)

    found = rows.convert(kind, sheet.rows, meant, await _vocabularies(tx), step)
    added, revised = await _write(tx, kind, sheet, found, step)
    return Report(kind, len(found), added, revised, len(found) - added - revised)


async def load_days(tx: Transaction, sheet: Sheet, prefix: str) -> list[CalendarDayForm]:
    """Store the days that a notice names, for regions whose codes begin with ``prefix``; what it says.

    Raises:
        ImportFailed: with all that is wrong in the file, other regions' days included; nothing of it was stored.
    """
    kind, meant = columns_of(sheet, Kind.CALENDAR)
    known = await _vocabularies(tx)
    codes = [rows.codes_of(row, "region_code", meant, known) for row in sheet.rows]
    problems = [
        Problem(row.place, label_of(kind, "region_code"), _("这个地区不在您的辖区内，请删去这一行，或请上级节点导入。"))
        for row, named in zip(sheet.rows, codes, strict=True)
        if len(named) == 1 and not named[0].startswith(prefix)
    ]
    try:
        found = rows.convert(kind, sheet.rows, meant, known, lambda _steps: None)
    except ImportFailed as error:
        raise ImportFailed([*problems, *error.problems]) from None
    if problems:
        raise ImportFailed(problems)
    days = [form for form in found if isinstance(form, CalendarDayForm)]
    await queries.save_days(tx, days)
    return days


async def _vocabularies(tx: Transaction) -> Vocabularies:
    items = {item.code: item for item in await catalogue.items(tx)}
    item_names = {code: item.name for code, item in items.items()}
    codes = await queries.institution_ids(tx)
    words = rows.fixed_words() | {
        "region": rows.region_words(await queries.regions(tx)),
        "kind": rows.named_words(await institutions.kinds(tx)),
        "audience": rows.named_words(await enterprises.kinds(tx)),
        "item": rows.named_words(item_names),
        "institution": {code: (code,) for code in codes},
    }
    return Vocabularies(words, items)


async def _write(tx: Transaction, kind: Kind, sheet: Sheet, found: list[Form], step: Step) -> tuple[int, int]:
    """How many were new, and how many revised."""
    match kind:
        case Kind.ITEMS:
            await _check_items(tx, sheet, found)
            return await _write_items(tx, [form for form in found if isinstance(form, ItemForm)], step)
        case Kind.INSTITUTIONS:
            return await _write_institutions(tx, [form for form in found if isinstance(form, InstitutionForm)], step)
        case Kind.OFFERINGS:
            await _check_owners(tx, sheet, found)
            return await _write_offerings(tx, [form for form in found if isinstance(form, OfferingRow)], step)
        case Kind.CALENDAR:
            days = [form for form in found if isinstance(form, CalendarDayForm)]
            step(len(days))
            return await queries.save_days(tx, days)


async def _write_items(tx: Transaction, forms: list[ItemForm], step: Step) -> tuple[int, int]:
    known = {item.code for item in await catalogue.items(tx)}
    ids = await queries.institution_ids(tx)
    added = revised = 0
    for form in forms:
        stored = await catalogue_service.store(
            tx,
            form.code,
            form.content(),
            number=form.number,
            institution_id=ids.get(form.institution_uscc),
            effective_until=form.effective_until,
        )
        added += stored and form.code not in known
        revised += stored and form.code in known
        step(1)
    return added, revised


async def _write_institutions(tx: Transaction, forms: list[InstitutionForm], step: Step) -> tuple[int, int]:
    added = revised = 0
    for chunk in _chunks(forms):
        known = await queries.institutions(tx, [form.uscc for form in chunk])
        different = [form for form in chunk if known.get(form.uscc) != form]
        await queries.save_institutions(tx, different)
        added += len(chunk) - len(known)
        revised += len(different) - (len(chunk) - len(known))
        step(len(chunk))
    return added, revised


async def _write_offerings(tx: Transaction, found: list[OfferingRow], step: Step) -> tuple[int, int]:
    ids = await queries.institution_ids(tx)
    known = await queries.offerings(tx, list({ids[row.uscc] for row in found}))
    added = revised = 0
    for chunk in _chunks(found):
        given = [OfferingToWrite(ids[row.uscc], row.form) for row in chunk]
        pairs = [(one, known.get((one.institution_id, one.form.item_code, one.form.title))) for one in given]
        new = [one for one, old in pairs if old is None]
        different = [structs.replace(one, id=old.id) for one, old in pairs if old and old.form != one.form]
        await queries.add_offerings(tx, new)
        await queries.revise_offerings(tx, different)
        added += len(new)
        revised += len(different)
        step(len(chunk))
    return added, revised


async def _check_items(tx: Transaction, sheet: Sheet, found: list[Form]) -> None:
    """Refuse what other items or decisions stand against: taken numbers, withdrawn codes, other owners."""
    known = [*await catalogue.items(tx), *await catalogue.withdrawn(tx)]
    by_number = {item.number: item for item in known}
    by_code = {item.code: item for item in known}
    ids = await queries.institution_ids(tx)
    problems = []
    for row, form in zip(sheet.rows, found, strict=True):
        assert isinstance(form, ItemForm)
        other, own = by_number.get(form.number), by_code.get(form.code)
        if other and other.code != form.code:
            what = _(
                "序号 {number} 已属于{name}（{code}），请换一个。", number=form.number, name=other.name, code=other.code
            )
            problems.append(Problem(row.place, label_of(Kind.ITEMS, "number"), what))
        if own and own.withdrawn_on:
            what = _("这个事项已于 {day} 撤销，导入不会让它恢复；要恢复请在清单管理中修订。", day=own.withdrawn_on)
            problems.append(Problem(row.place, label_of(Kind.ITEMS, "code"), what))
        if own and own.institution_id != ids.get(form.institution_uscc):
            owner = own.institution_name or _("全省的清单")
            what = _("事项 {code} 属于{owner}，不能改换所属机构。", code=form.code, owner=owner)
            problems.append(Problem(row.place, label_of(Kind.ITEMS, "institution_uscc"), what))
        elif form.institution_uscc and form.item_list is not ItemList.SPECIFIC:
            what = _("只有个性化清单的事项属于一家机构，请留空，或把清单改为个性化清单。")
            problems.append(Problem(row.place, label_of(Kind.ITEMS, "institution_uscc"), what))
    if problems:
        raise ImportFailed(problems)


async def _check_owners(tx: Transaction, sheet: Sheet, found: list[Form]) -> None:
    """Refuse offerings under an item of somebody else's specific list."""
    items = {item.code: item for item in await catalogue.items(tx)}
    ids = await queries.institution_ids(tx)
    problems = []
    for row, form in zip(sheet.rows, found, strict=True):
        assert isinstance(form, OfferingRow)
        item = items[form.form.item_code]
        if item.institution_id not in (None, ids[form.uscc]):
            what = _(
                "{name}（{code}）在{institution}的个性化清单上，只有这家机构能提供。",
                name=item.name,
                code=item.code,
                institution=item.institution_name,
            )
            problems.append(Problem(row.place, label_of(Kind.OFFERINGS, "item_code"), what))
    if problems:
        raise ImportFailed(problems)


def _chunks(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    return (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK))


def _shipped(item: ItemData, aliases: tuple[str, ...]) -> ItemContent:
    guide = item.guide
    return ItemContent(
        name=item.name,
        item_group=item.group,
        item_list=item.list,
        rights=item.rights,
        stages=item.stages,
        aliases=aliases,
        guide=Guide(
            conditions=guide.conditions,
            audience=guide.audience,
            channels=guide.channels,
            materials=guide.materials,
            process=guide.process,
            time_limit=guide.time_limit.text,
            result=guide.result,
            supervision=guide.supervision,
        ),
        fee=item.fee,
        handlers=item.handlers,
        statutory_limit=item.statutory_limit,
        promised_limit=item.promised_limit,
    )
