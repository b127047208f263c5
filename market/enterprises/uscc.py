"""Unified social credit code 统一社会信用代码, by the facts of GB 32100-2015 (market/data/uscc.json).

Eighteen characters: 1 registering department, 2 kind of body, 3–8 region of registration, 9–17 organisation
code (GB 11714), 18 check character. Common libraries refuse valid codes: those of the departments A, N and Y, or
those whose sum leaves no remainder.
"""

import unicodedata
from functools import cache
from random import Random
from string import ascii_uppercase, digits

from market.data import UsccFacts, load_uscc
from market.i18n import Words, _

LENGTH = 18

# GB 11714-1997: the letters count from A = 10 without a gap, unlike those of GB 32100.
ORGANISATION_ALPHABET = digits + ascii_uppercase
ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)

# The letters that GB 32100 leaves out, and what was probably on the licence.
LOOKALIKES = Words({"I": "数字 1", "O": "数字 0", "S": "数字 5", "V": "字母 U 或 Y", "Z": "数字 2"})


class UsccError(ValueError):
    """The code cannot be right. ``position`` counts from 1; None: the code as a whole."""

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


def normalise(text: str) -> str:
    """What was meant: half-width capitals, without spaces and invisible characters."""
    wide = unicodedata.normalize("NFKC", text).upper()
    return "".join(c for c in wide if not c.isspace() and unicodedata.category(c) != "Cf")


def check_character(first17: str) -> str:
    """The 18th character for the 17 before it.

    Raises:
        ValueError: not 17 characters of the alphabet.
    """
    facts = _facts()
    total = sum(facts.alphabet.index(c) * w for c, w in zip(first17, facts.weights, strict=True))
    return facts.alphabet[-total % 31]


def problem(text: str, field: str = "uscc") -> dict[str, str]:
    """What is wrong with a code that was typed, as the error of its field; nothing where it is right."""
    try:
        validate(text)
    except UsccError as error:
        return {field: str(error)}
    return {}


def validate(text: str) -> str:
    """The code in its normal form.

    Raises:
        UsccError: it cannot be a code; the first thing that is wrong.
    """
    code = normalise(text)
    if not code:
        raise UsccError(_("请填写统一社会信用代码。"))
    if len(code) != LENGTH:
        raise UsccError(
            _(
                "统一社会信用代码应为 {length} 位，现在是 {n} 位，请对照营业执照或法人证书重新填写。",
                length=LENGTH,
                n=len(code),
            )
        )
    _check_alphabet(code)
    _check_registration(code)
    # The standard builds 9–17 on GB 11714, and every genuine code at hand keeps its check digit. It narrows
    # down where the slip is, so it comes before the check over the whole.
    if code[16] != _organisation_check(code[8:16]):
        raise UsccError(_("统一社会信用代码第 9 至 17 位校验不符，请核对这几位是否录错。"), 17)
    if code[17] != check_character(code[:17]):
        raise UsccError(_("统一社会信用代码第 18 位校验不符，请核对是否录错一位。"), 18)
    return code


def generate(rng: Random, *, department: str, kind: str, region: str) -> str:
    """A code that validates, for demo data; ``region`` is a six-digit region code."""
    base = "".join(rng.choices(_facts().alphabet, k=8))
    first17 = department + kind + region + base + _organisation_check(base)
    return first17 + check_character(first17)


def _check_alphabet(code: str) -> None:
    for position, c in enumerate(code, start=1):
        if c in LOOKALIKES:
            raise UsccError(
                _(
                    "统一社会信用代码第 {position} 位是“{c}”，但代码不使用字母 I、O、S、V、Z，请核对是否应为{meant}。",
                    position=position,
                    c=c,
                    meant=LOOKALIKES[c],
                ),
                position,
            )
        if c not in _facts().alphabet:
            raise UsccError(
                _("统一社会信用代码第 {position} 位只能是数字或英文字母，请核对后重新填写。", position=position),
                position,
            )


def _check_registration(code: str) -> None:
    department = _facts().departments.get(code[0])
    if department is None:
        raise UsccError(
            _("统一社会信用代码第 1 位不会是“{code}”，请核对：企业和个体工商户的代码以 9 开头。", code=code[0]), 1
        )
    if department.kinds and code[1] not in department.kinds:
        known = _("、").join(_("{kind}（{name}）", kind=kind, name=name) for kind, name in department.kinds.items())
        raise UsccError(
            _("以 {code} 开头的统一社会信用代码，第 2 位只能是 {known}，请核对。", code=code[0], known=known), 2
        )
    for position in range(3, 9):
        if code[position - 1] not in digits:
            raise UsccError(
                _(
                    "统一社会信用代码第 {position} 位应为数字（第 3 至 8 位是登记地的行政区划代码），请核对。",
                    position=position,
                ),
                position,
            )


def _organisation_check(base: str) -> str:
    """Check digit of GB 11714 for the eight characters before it; X stands for 10."""
    total = sum(ORGANISATION_ALPHABET.index(c) * w for c, w in zip(base, ORGANISATION_WEIGHTS, strict=True))
    return "0123456789X"[-total % 11]


@cache
def _facts() -> UsccFacts:
    return load_uscc()
