"""Words in the reader's language. Chinese is the source: a message's id is its Chinese text as it stands in the code.

How to make a module speak both languages:

1. Python: ``from market.i18n import N_, Words, _, _n``, then

   - Words shown at once: ``_("没有登录名为 {login} 的账号。", login=login)``. Never an f-string: a translator has to
     see the whole sentence, and may turn it round.
   - Words with a number that English counts: ``_n("还剩 {n} 个工作日", days)``; more values as with ``_``.
   - A table of words: ``STATE_NAMES: Mapping[State, str] = Words({State.NEW: "未提交"})``. It is translated each time
     something is looked up in it, so nothing changes where it is used. Never copy one at import (``{**STATE_NAMES}``):
     that would freeze the language. Another text at module level is ``TITLE = N_("没有找到")``, and ``_(TITLE)`` where
     it is shown. What an error of the domain is given is in words already: ``NotFound(_("…"))``.
   - Where ``_`` is imported no variable may be called so: write ``for _key, x in …``, ``lambda _m: …``; in templates
     ``{% do list.append(x) %}``.
   - Han that nobody reads (what is parsed, columns of a file): end the line, or the first line of the statement, with
     ``# not translated: the reason``. Docstrings need nothing; those of errors.py are messages.

2. Templates: ``{{ _("登录") }}``, ``{{ _("创建于 {day}", day=x | day) }}``, ``{{ _n("{n} 项服务", count) }}``, also in
   attributes and as macros' arguments. With markup inside:
   ``{% trans name=need.owner_name %}由 <b>{{ name }}</b> 负责{% endtrans %}`` (only names between the braces; white
   space is trimmed). Put whole sentences into one message, with their punctuation.
   ``lang()`` is the language; dates come through the filters ``day``, ``moment`` and so on.

3. ``make messages`` reads all sources and renews market/locale/en/LC_MESSAGES/zhipei.po: new ids come with an empty
   msgstr, ids no longer used go. Write the English there: plain, short, to the reader ("you", never "the user"), with
   the same placeholders and the words of the field that the catalogue has already. It is sorted by id and has no line
   numbers, so that branches merge; after a merge run it again.

4. Take the file out of tests/unit/not_yet_translated.txt: from then on tests/unit/test_i18n.py finds what is not
   wrapped, not translated or not whole. Look at the page in English too: the switch is in the footer.

What people and institutions wrote, and the shipped lists (items, regions, guides), stay in their own language.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

from babel.messages.pofile import read_po

from matching.types import Lang

K = TypeVar("K")

CATALOGUE = Path(__file__).parent / "locale" / "en" / "LC_MESSAGES" / "zhipei.po"
COOKIE = "zhipei_lang"
"""What a browser chose by the switch, for those who have not logged in."""
LANGUAGES: Final[Mapping[Lang, str]] = {"zh": "中文", "en": "English"}  # not translated: each in its own words
TAGS: Final[Mapping[Lang, str]] = {"zh": "zh-CN", "en": "en"}
"""BCP 47, for ``html lang`` and Content-Language."""
LOCALES: Final[Mapping[Lang, str]] = {"zh": "zh_CN", "en": "en_GB"}
"""Babel's, for dates and numbers."""
QUALITY = re.compile(r"(0(\.\d{0,3})?|1(\.0{0,3})?)?")
"""Of a language in Accept-Language (RFC 9110, 12.4.2); empty: 1."""

VARY = "Accept-Language, Cookie"
"""What the words of an answer depend on, for whoever keeps copies."""

_language: ContextVar[Lang] = ContextVar("language", default="zh")


def lang() -> Lang:
    """The language of the request or job that is at work."""
    return _language.get()


def speak(language: Lang) -> None:
    """From here on this request speaks ``language``."""
    _language.set(language)


@contextmanager
def speaking(language: Lang) -> Iterator[None]:
    """In ``language``, such as a message to somebody else; afterwards as before."""
    token = _language.set(language)
    try:
        yield
    finally:
        _language.reset(token)


def known(text: str | None) -> Lang | None:
    """``text`` as a language we speak."""
    return "en" if text == "en" else "zh" if text == "zh" else None


def preferred(accept_language: str) -> Lang:
    """What an Accept-Language header likes best; Chinese where it does not say."""
    liked = {"zh": 0.0, "en": 0.0}
    for part in accept_language.lower().split(","):
        tag, _sep, quality = part.strip().partition(";q=")
        primary = tag.partition("-")[0]
        if primary in liked and QUALITY.fullmatch(quality):
            liked[primary] = max(liked[primary], float(quality or 1))
    return "en" if liked["en"] > liked["zh"] else "zh"


def _(text: str, **values: object) -> str:
    """``text`` in the reader's language; ``values`` fill its ``{names}``. Without values braces mean nothing."""
    forms = _english().get(text) if _language.get() == "en" else None
    found = forms[0] if forms else text
    return found.format(**values) if values else found


def _n(text: str, n: int, **values: object) -> str:
    """As ``_``, for a text with a number ``{n}`` in it: English has one word for 1 and another for the rest."""
    return plural(text, text, n).format(n=n, **values)


def plural(one: str, many: str, n: int) -> str:
    """gettext's ngettext, which ``{% trans %}`` calls: in Chinese both forms are one."""
    forms = _english().get(one) if _language.get() == "en" else None
    if not forms:
        return one if n == 1 else many
    return forms[0] if n == 1 else forms[-1]


def N_(text: str) -> str:  # noqa: N802 - gettext's own name
    """``text`` as it is, to be found by ``make messages``; whoever shows it calls ``_``."""
    return text


class Words(Mapping[K, str]):
    """A table of words that are translated when they are looked up. All its texts are messages."""

    def __init__(self, table: Mapping[K, str]) -> None:
        self._table = table

    def __getitem__(self, key: K) -> str:
        return _(self._table[key])

    def __iter__(self) -> Iterator[K]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


@cache
def _english() -> Mapping[str, tuple[str, ...]]:
    """The catalogue: id → its forms, of which a text without a number has one. What has no translation is not in it."""
    with CATALOGUE.open("rb") as file:
        catalogue = read_po(file, locale="en")
    found: dict[str, tuple[str, ...]] = {}
    for message in catalogue:
        said = message.string if isinstance(message.string, tuple) else (message.string,)
        forms = tuple(str(form) for form in said if form)
        if message.id and len(forms) == len(said):
            found[message.id if isinstance(message.id, str) else message.id[0]] = forms
    return found
