"""Rows of text → forms. Words are looked up in vocabularies that the caller has read; every problem is collected."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from market import forms
from market.catalogue.model import (
    ITEM_LIST_NAMES,
    LIMIT_HINT,
    RIGHT_NAMES,
    STAGE_NAMES,
    Guide,
    Limit,
    ServiceItem,
    parse_limit,
)
from market.enterprises import uscc
from market.errors import InvalidInput
from market.i18n import LANGUAGES, _, speaking
from market.importing.columns import COLUMNS, GUIDE_COLUMNS, TEXT_SEPARATORS, WORD_SEPARATORS, Column
from market.importing.model import CalendarDayForm, Cell, ImportFailed, ItemForm, Kind, Problem, Row
from market.institutions.model import InstitutionForm
from market.offerings.model import CHANNELS, OfferingForm
from market.regions.model import NATION, PLACEHOLDERS, Region, full_name

GUIDE_OF_ITS_OWN = {"guide_audience": "audience", "guide_channels": "channels"}
"""Columns of an offering's guide whose element has the name of another of its columns."""

Words = Mapping[str, tuple[str, ...]]
"""What may be written → the codes it may mean; more than one: it has to be said more exactly."""


class Vocabularies(Struct, frozen=True):
    """What the cells of a file may refer to, by the vocabulary's name in Column.words."""

    words: dict[str, Words]
    items: dict[str, ServiceItem]
    """By code: for the guide an offering has unless its row says otherwise."""


class OfferingRow(Struct, frozen=True):
    """An offering as a file gives it, with its guide put together."""

    uscc: str
    form: OfferingForm


WORKING: Words = {  # not translated: what people type
    "上班": ("true",),
    "放假": ("false",),
    "休息": ("false",),
    "1": ("true",),
    "0": ("false",),
}
Form = ItemForm | InstitutionForm | OfferingRow | CalendarDayForm


class _Unfit(Exception):
    """A cell that means nothing; what to do."""


def fixed_words() -> dict[str, Words]:
    """The vocabularies that are part of the program; files are read in every language, whoever imports them."""
    return {
        "item_list": _in_each_language(ITEM_LIST_NAMES),
        "rights": _in_each_language(RIGHT_NAMES),
        "stages": _in_each_language(STAGE_NAMES),
        "channels": {channel: (channel,) for channel in CHANNELS},
        "working": WORKING,
    }


def _in_each_language(names: Mapping[Any, str]) -> Words:
    found: dict[str, tuple[str, ...]] = {}
    for language in LANGUAGES:
        with speaking(language):
            found |= named_words(names)
    return found


def named_words(names: Mapping[Any, str]) -> Words:
    """Codes and names of one vocabulary, given as code → name."""
    return {str(code): (str(code),) for code in names} | {name: (str(code),) for code, name in names.items()}


def region_words(regions: Sequence[Region]) -> Words:
    """Codes, names as people say them (南山区, which there are two of) and full names (深圳市南山区)."""
    by_code = {region.code: region for region in regions}
    words: dict[str, tuple[str, ...]] = {}
    full: dict[str, tuple[str, ...]] = {}
    for region in regions:
        if region.name in PLACEHOLDERS:
            continue
        words[region.name] = (*words.get(region.name, ()), region.code)
        whole = full_name(region.code, by_code)
        province = by_code.get(region.code[:2] + "0000")
        names = {whole, whole.removeprefix(province.name) if province and region.code[2:] != "0000" else whole}
        full |= {name: (region.code,) for name in names if name not in full}
    return words | full | {code: (code,) for code in by_code}


def convert(
    kind: Kind, rows: Sequence[Row], meant: Mapping[str, Column], known: Vocabularies, step: Callable[[int], None]
) -> list[Form]:
    """Every row as a form; ``step`` is told of each.

    Raises:
        ImportFailed: with everything that is wrong in any row, rows that repeat an earlier one included.
    """
    parsers: dict[Kind, Callable[[dict[str, Any], Vocabularies], Form]] = {
        Kind.ITEMS: lambda values, _known: forms.decode(ItemForm, values),
        Kind.INSTITUTIONS: _institution,
        Kind.OFFERINGS: _offering,
        Kind.CALENDAR: _calendar_day,
    }
    columns = {column.field: column for column in COLUMNS[kind]}
    found: list[Form] = []
    problems: list[Problem] = []
    seen: dict[tuple[str, object], str] = {}
    for row in rows:
        values, unfit = _values(row, meant, known)
        try:
            form = parsers[kind](values, known)
        except InvalidInput as error:
            unfit = error.fields | unfit
        else:
            found.append(form)
            for key in _keys(form):
                if key in seen:
                    unfit[key[0]] = _("与{place}重复，请删去一行，或改成不同的内容。", place=seen[key])
                seen.setdefault(key, row.place)
        problems += [Problem(row.place, columns[field].label, what) for field, what in unfit.items()]
        step(1)
    if problems:
        raise ImportFailed(problems)
    return found


def codes_of(row: Row, field: str, meant: Mapping[str, Column], known: Vocabularies) -> tuple[str, ...]:
    """What a cell of words may mean; nothing where it means nothing, or is not there."""
    cells = [(meant[name], cell) for name, cell in row.cells.items() if meant[name].field == field]
    column, cell = cells[0] if cells else (None, "")
    if column is None or column.words is None or not isinstance(cell, str):
        return ()
    return known.words[column.words].get(cell.strip(), ())


def _values(row: Row, meant: Mapping[str, Column], known: Vocabularies) -> tuple[dict[str, Any], dict[str, str]]:
    """Values by field, words replaced by codes; what could not be read, by field."""
    values: dict[str, Any] = {}
    unfit = {}
    for name, cell in row.cells.items():
        column = meant[name]
        try:
            values[column.field] = _value(column, cell, known)
        except _Unfit as error:
            unfit[column.field] = str(error)
    return values, unfit


def _value(column: Column, cell: Cell, known: Vocabularies) -> Any:
    if column.many:
        parts = _parts(cell, words=column.words is not None) if isinstance(cell, str) else cell
        texts = list(dict.fromkeys(text for text in (part.strip() for part in parts) if text))
        return [_code(known.words[column.words], text) for text in texts] if column.words else texts
    if not isinstance(cell, str):
        raise _Unfit(_("这一列只能填一个值。"))
    cell = cell.strip()
    if column.words is None or not cell:
        return cell
    if column.words == "limit":
        return _limit(cell)
    if column.words == "institution":
        return _institution_code(cell, known.words["institution"])
    return _code(known.words[column.words], cell)


def _parts(cell: str, *, words: bool) -> list[str]:
    """The values of one cell. Texts have 、 within them, and ； where each stands on a line of its own."""
    if words:
        return WORD_SEPARATORS.split(cell)
    return cell.split("\n") if "\n" in cell else TEXT_SEPARATORS.split(cell)


def _code(words: Words, text: str) -> str:
    codes = words.get(text, ())
    if len(codes) > 1:
        listed = _("、").join(codes[:5])
        raise _Unfit(_("「{given}」有 {n} 个，请写全称或代码（{codes}）。", given=text, n=len(codes), codes=listed))
    if not codes:
        near = _("、").join(word for word in words if not word.isascii()) if len(words) < 30 else ""
        if near:
            raise _Unfit(_("没有「{given}」，请从这些里选：{near}。", given=text[:50], near=near))
        raise _Unfit(_("没有「{given}」，请核对名称或代码。", given=text[:50]))
    return codes[0]


def _limit(text: str) -> Limit:
    try:
        return parse_limit(text)
    except ValueError:
        raise _Unfit(_("时限「{given}」：{hint}", given=text[:50], hint=_(LIMIT_HINT))) from None


def _institution_code(text: str, words: Words) -> str:
    try:
        code = uscc.validate(text)
    except uscc.UsccError as error:
        raise _Unfit(str(error)) from None
    if code not in words:
        raise _Unfit(_("还没有代码为 {code} 的服务机构，请先导入这家机构。", code=code))
    return code


def _institution(values: dict[str, Any], _known: Vocabularies) -> InstitutionForm:
    form = forms.decode(InstitutionForm, values)
    try:
        return msgspec.structs.replace(form, uscc=uscc.validate(form.uscc))
    except uscc.UsccError as error:
        raise InvalidInput(fields={"uscc": str(error)}) from None


def _calendar_day(values: dict[str, Any], _known: Vocabularies) -> CalendarDayForm:
    form = forms.decode(CalendarDayForm, values)
    if form.year is not None and form.region_code != NATION:
        raise InvalidInput(fields={"year": _("只有全国的放假通知才算公布了一整年，地方的安排请留空。")})
    if form.year is not None and form.day.year != form.year and (form.day.year, form.day.month) != (form.year - 1, 12):
        raise InvalidInput(
            fields={"year": _("{day} 不在 {year} 年的安排里，请核对年份。", day=form.day, year=form.year)}
        )
    return form


def _offering(values: dict[str, Any], known: Vocabularies) -> OfferingRow:
    own = {column.field: column.field for column in GUIDE_COLUMNS} | GUIDE_OF_ITS_OWN
    guide = {own[field]: value for field, value in values.items() if field in own and value}
    code = values.get("institution_uscc")
    fields = {} if code else {"institution_uscc": forms.REQUIRED}
    try:
        form = forms.decode(OfferingForm, {f: v for f, v in values.items() if f not in own and f != "institution_uscc"})
    except InvalidInput as error:
        raise InvalidInput(fields=fields | error.fields) from None
    if not code:
        raise InvalidInput(fields=fields)
    whole = msgspec.convert(msgspec.to_builtins(known.items[form.item_code].guide) | guide, Guide)
    return OfferingRow(code, msgspec.structs.replace(form, guide=whole))


def _keys(form: Form) -> Iterator[tuple[str, object]]:
    """What no two rows of a file may share, each with the field that is named when they do."""
    match form:
        case ItemForm():
            yield "code", form.code
            yield "number", form.number
        case InstitutionForm():
            yield "uscc", form.uscc
        case OfferingRow():
            yield "title", (form.uscc, form.form.item_code, form.form.title)
        case CalendarDayForm():
            yield "day", (form.region_code, form.day)
