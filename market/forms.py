"""Untrusted input as Structs: every wrong field at once, in words, without losing what was typed."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar, get_args

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo

from market.errors import InvalidInput
from market.i18n import N_, _, _n

S = TypeVar("S", bound=Struct)

REQUIRED = N_("请填写这一项。")
PATTERN = "matching regex"
"""In msgspec's message where a text has the wrong characters: then a field's own hint says more."""
# Invisible characters that pasted text brings along; tab and newline are text.
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

_EXPLANATIONS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"`str` of length >= 1$"), lambda _m: _(REQUIRED)),
    (re.compile(r"`str` of length >= (\d+)"), lambda m: _n("至少要 {n} 个字。", int(m[1]))),
    (re.compile(r"`str` of length <= (\d+)"), lambda m: _n("最多 {n} 个字，请精简一些。", int(m[1]))),
    (re.compile(r"`array` of length >= (\d+)"), lambda m: _n("至少要 {n} 项。", int(m[1]))),
    (re.compile(r"`array` of length <= (\d+)"), lambda m: _n("最多 {n} 项。", int(m[1]))),
    (re.compile(r"`int` >= (-?\d+)"), lambda m: _("不能小于 {least}。", least=m[1])),
    (re.compile(r"`int` <= (-?\d+)"), lambda m: _("不能大于 {most}。", most=m[1])),
    (re.compile(r"Expected `int"), lambda _m: _("请填写整数。")),
    (re.compile(r"RFC3339 encoded date|Expected `date"), lambda _m: _("请按 2026-11-25 的样子填写日期。")),
    (re.compile(r"Invalid enum value|Expected `.*` .*enum"), lambda _m: _("请从列表中选择。")),
    (re.compile(r"Expected `object`|^'data'$"), lambda _m: _("请提交一个 JSON 对象。")),
    (re.compile(r"Expected `str`"), lambda _m: _("应为文字。")),
    (re.compile(r"Expected `array`"), lambda _m: _("应为列表。")),
    (re.compile(r"Expected `bool`"), lambda _m: _("应为 true 或 false。")),
    (re.compile(PATTERN), lambda _m: _("内容的格式不对，或含有看不见的控制字符。")),
    (re.compile(r"missing required field `(\w+)`"), lambda m: _("缺少 {field}，请补上。", field=m[1])),
    (re.compile(r"unknown field `(\w+)`"), lambda m: _("没有 {field} 这一项，请去掉。", field=m[1])),
)


def explain(message: str) -> str:
    """msgspec's message in the reader's words; as it is where there are none for it."""
    for pattern, words in _EXPLANATIONS:
        if match := pattern.search(message):
            return words(match)
    return message


AS_TYPED = ("password", "new_password")
"""Fields of which every blank counts."""


def decode(kind: type[S], raw: Mapping[str, Any], hints: Mapping[str, str] | None = None) -> S:
    """A posted form as a ``kind``. A list field takes all values of its name; an empty value counts as left out.

    Raises:
        InvalidInput: with every field that does not fit. ``hints``, N_ texts by field, say what is right.
    """
    values, errors = {}, {}
    for field, as_list in _fields(kind):
        given = raw.get(field.name)
        if field.name not in AS_TYPED:
            given = _clean(given, as_list=as_list)
        if given in (None, "", []):
            if field.required:
                errors[field.name] = _(REQUIRED)
            continue
        try:
            values[field.name] = msgspec.convert(given, field.type, strict=False)
        except msgspec.ValidationError as error:
            hint = (hints or {}).get(field.name)
            errors[field.name] = _(hint) if hint and PATTERN in str(error) else explain(str(error))
    if errors:
        raise InvalidInput(fields=errors)
    return kind(**values)


def faults(kind: Any, raw: Any, path: str = "") -> dict[str, str]:
    """Everything that is wrong with a JSON value as a ``kind``, by dotted path: msgspec stops at the first."""
    if not (isinstance(kind, type) and issubclass(kind, Struct) and isinstance(raw, dict)):
        return _fault(kind, raw, path)
    found: dict[str, str] = {}
    known = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name, field in known.items():
        inner = f"{path}.{name}" if path else name
        if name in raw:
            found |= faults(_one_struct(field.type), raw[name], inner) or _fault(field.type, raw[name], inner)
        elif field.required:
            found[inner] = _(REQUIRED)
    if kind.__struct_config__.forbid_unknown_fields:
        found |= {
            f"{path}.{name}" if path else name: _("没有 {field} 这一项，请去掉。", field=name)
            for name in raw
            if name not in known
        }
    return found


def _fault(kind: Any, raw: Any, path: str) -> dict[str, str]:
    try:
        msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        message, _at, place = str(error).partition(" - at `$")
        return {f"{path}{place.rstrip('`')}".lstrip(".") or "body": explain(message)}
    return {}


def _one_struct(kind: Any) -> Any:
    """The Struct of an optional one; any other type as it is."""
    inner = [one for one in get_args(kind) if isinstance(one, type) and issubclass(one, Struct)]
    return inner[0] if len(inner) == 1 and type(None) in get_args(kind) else kind


def merged(typed: Mapping[str, Any], seen: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed into a form that showed ``seen``, with what has become of the fields that were left alone."""
    untouched = {name: now[name] for name in now if _plain(typed.get(name)) == _plain(seen.get(name))}
    return {**typed, **untouched}


def visible(text: str) -> str:
    """``text`` with plain newlines and without invisible characters or white space around it."""
    return CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def _plain(given: Any) -> list[str]:
    """A field's value, whether it comes from a form or goes into one."""
    many = given if isinstance(given, (list, tuple)) else [] if given is None else [given]
    return [text for text in (visible(str(one)) for one in many) if text]


def _clean(given: Any, *, as_list: bool) -> Any:
    if as_list:
        many = given if isinstance(given, list) else [] if given is None else [given]
        return [text for text in (visible(str(one)) for one in many) if text]
    one = given[-1] if isinstance(given, list) and given else given
    return visible(one) if isinstance(one, str) else one


@cache
def _fields(kind: type[Struct]) -> list[tuple[FieldInfo, bool]]:
    """The Struct's fields, and whether each takes a list. Kept, for an import decodes a row fifty thousand times."""
    return [(field, _is_list(field.type)) for field in msgspec.structs.fields(kind)]


def _is_list(annotation: Any) -> bool:
    origins = [annotation, *get_args(annotation)]
    return any(getattr(one, "__origin__", None) in (tuple, list) for one in origins)
