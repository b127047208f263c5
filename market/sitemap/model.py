"""Sitemap (sitemaps.org, 0.9), robots.txt (RFC 9309) and security.txt (RFC 9116) as documents. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from xml.etree import ElementTree as ET

NAMESPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"
MOST = 50_000
"""Addresses that one file may name."""
GOOD_FOR = timedelta(days=90)
"""How long a copy of security.txt may be believed."""
LISTS = ("/", "/offerings", "/institutions", "/items", "/notices", "/calendar", "/changes", "/statistics")
PRIVATE = (
    *("/account", "/counter", "/desk", "/join", "/ledger", "/login", "/logout", "/mail/", "/messages", "/needs"),
    *("/plans", "/queue", "/ratings", "/receipt", "/register", "/reset", "/search", "/supervision", "/api/v1/"),
)
"""Beginnings of paths that need somebody logged in, a link, or a question: nothing a search engine should ask for."""


def sitemap(address: str, published: Iterable[tuple[str, datetime]]) -> bytes:
    """The lists, then what is published, with the day of its last change."""
    ET.register_namespace("", NAMESPACE)
    root = ET.Element(f"{{{NAMESPACE}}}urlset")
    for path in LISTS:
        _add(root, address + path)
    for path, at in published:
        _add(root, address + path, at)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def robots(address: str) -> str:
    """Where the sitemap is, and what not to ask for."""
    closed = "".join(f"Disallow: {path}\n" for path in PRIVATE)
    return f"User-agent: *\n{closed}\nSitemap: {address}/sitemap.xml\n"


def security(address: str, contact: str, now: datetime) -> str:
    """Where to report a weakness."""
    lines = {
        "Contact": contact,
        "Expires": f"{now + GOOD_FOR:%Y-%m-%dT00:00:00Z}",
        "Preferred-Languages": "zh, en",
        "Canonical": f"{address}/.well-known/security.txt",
    }
    return "".join(f"{name}: {value}\n" for name, value in lines.items())


def _add(root: ET.Element, address: str, at: datetime | None = None) -> None:
    entry = ET.SubElement(root, f"{{{NAMESPACE}}}url")
    ET.SubElement(entry, f"{{{NAMESPACE}}}loc").text = address
    if at is not None:
        ET.SubElement(entry, f"{{{NAMESPACE}}}lastmod").text = at.date().isoformat()
