"""Personal data with its middle taken out: enough to recognise one's own, too little to reach anybody by."""

import re

STAR = "*"
# A mobile or landline number, with or without +86 and marks between the digits; an e-mail address.
PHONE = re.compile(
    r"(?<![\d-])(?:(?:\+|00)?86[ -]?)?(?:1[3-9]\d[ -]?\d{4}[ -]?\d{4}|0\d{2,3}[ -]?\d{7,8}(?:-\d{1,5})?)(?![\d])"
)
MAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
GONE = "***"


def name(text: str) -> str:
    """王小明 → 王**; Ann Lee → A**. Always as long, so that its length says nothing."""
    return text and f"{text[0]}**"


def phone(text: str) -> str:
    """13812345678 → 138****5678; a shorter one shows its last two digits."""
    if len(text) >= 11:
        return f"{text[:3]}****{text[-4:]}"
    return text and f"****{text[-2:]}"


def mail(text: str) -> str:
    """wang@example.com → w***@example.com."""
    local, at, host = text.partition("@")
    return text and f"{local[:1]}***{at}{host}"


def scrub(text: str, *names: str) -> str:
    """A free text without telephone numbers, e-mail addresses and those names."""
    text = MAIL.sub(GONE, PHONE.sub(GONE, text))
    for one in names:
        if len(one) > 1:  # a single character would be taken out of every word
            text = text.replace(one, GONE)
    return text
