"""Changes as Atom (RFC 4287, paged as RFC 5005) and as JSON Feed 1.1. Pure."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import msgspec

from market.feeds.model import Change
from market.i18n import N_, TAGS, _, lang

ATOM = "http://www.w3.org/2005/Atom"
TITLE = N_("知配：服务事项与服务的更新")
BEGAN = 2026
"""The year in feed ids (RFC 4151): in it, whoever runs the site had its name."""
UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold."""


def atom(changes: Sequence[Change], *, address: str, path: str, older: str | None) -> bytes:
    """``path``: of this page of the feed; ``older``: of the next, None at the end. ``changes`` newest first."""
    ET.register_namespace("", ATOM)
    feed = ET.Element(f"{{{ATOM}}}feed", {"{http://www.w3.org/XML/1998/namespace}lang": TAGS[lang()]})
    _text(feed, "id", _id(address, "changes"))
    _text(feed, "title", _(TITLE))
    _text(feed, "updated", changes[0].at.isoformat() if changes else f"{BEGAN}-01-01T00:00:00+00:00")
    author = ET.SubElement(feed, f"{{{ATOM}}}author")
    _text(author, "name", _("知配"))
    _link(feed, "self", address + path)
    _link(feed, "alternate", f"{address}/changes")
    if older:
        _link(feed, "next", address + older)
    for change in changes:
        entry = ET.SubElement(feed, f"{{{ATOM}}}entry")
        _text(entry, "id", _id(address, f"changes/{change.id}"))
        _text(entry, "title", _headline(change))
        _text(entry, "updated", change.at.isoformat())
        _link(entry, "alternate", address + change.path)
        ET.SubElement(entry, f"{{{ATOM}}}category", {"term": change.action, "label": change.words})
        _text(entry, "summary", change.summary)
    body: bytes = ET.tostring(feed, encoding="utf-8", xml_declaration=True)
    return body


def json_feed(changes: Sequence[Change], *, address: str, path: str, older: str | None) -> bytes:
    """As ``atom``."""
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": _(TITLE),
        "language": TAGS[lang()],
        "home_page_url": f"{address}/changes",
        "feed_url": address + path,
        "items": [
            {
                "id": _id(address, f"changes/{change.id}"),
                "url": address + change.path,
                "title": _headline(change),
                "content_text": change.summary,
                "date_published": change.at,
                "tags": [change.action, change.item_list],
            }
            for change in changes
        ],
    }
    return msgspec.json.encode(feed | ({"next_url": address + older} if older else {}))


def _headline(change: Change) -> str:
    return _("{label}：{words}", label=change.words, words=change.title)


def _id(address: str, what: str) -> str:
    """An id that stays whatever becomes of addresses (RFC 4151)."""
    return f"tag:{urlsplit(address).hostname},{BEGAN}:{what}"


def _text(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, f"{{{ATOM}}}{name}").text = UNFIT.sub("", text)


def _link(parent: ET.Element, rel: str, href: str) -> None:
    ET.SubElement(parent, f"{{{ATOM}}}link", {"rel": rel, "href": href})
