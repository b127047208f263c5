"""Changes as Atom and JSON Feed."""

import json
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from market.catalogue.model import ItemList
from market.feeds.documents import ATOM, atom, json_feed
from market.feeds.model import Change, ChangeAction

ITEM = Change(
    id=8,
    action=ChangeAction.REVISED,
    item_code="SZ-2024-10",
    offering_id=None,
    version=2,
    title="检索 <专利> & \x07更多\ufffe",
    item_list=ItemList.COMMON,
    institution_id=None,
    institution_name=None,
    at=datetime(2026, 11, 25, 8, tzinfo=UTC),
)
OFFERING = Change(
    id=7,
    action=ChangeAction.WITHDRAWN,
    item_code="SZ-2024-10",
    offering_id=3,
    version=1,
    title="检索",
    item_list=ItemList.COMMON,
    institution_id=5,
    institution_name="某中心",
    at=datetime(2026, 11, 24, 8, tzinfo=UTC),
)
SITE = {"address": "https://ip.example:8443", "path": "/feed.atom", "older": "/feed.atom?before=7"}


def test_an_atom_feed_has_what_readers_need() -> None:
    feed = ET.fromstring(atom([ITEM, OFFERING], **SITE))
    space = {"a": ATOM}
    assert feed.findtext("a:id", namespaces=space) == "tag:ip.example,2026:changes"
    assert feed.findtext("a:updated", namespaces=space) == "2026-11-25T08:00:00+00:00"
    links = {link.get("rel"): link.get("href") for link in feed.findall("a:link", space)}
    assert links["next"] == "https://ip.example:8443/feed.atom?before=7"
    first, second = feed.findall("a:entry", space)
    assert first.findtext("a:id", namespaces=space) == "tag:ip.example,2026:changes/8"
    assert first.findtext("a:title", namespaces=space) == "修订事项：检索 <专利> & 更多"
    assert second.findtext("a:title", namespaces=space) == "暂停服务：检索"
    entry_link = second.find("a:link", space)
    assert entry_link is not None
    assert entry_link.get("href") == "https://ip.example:8443/offerings/3?version=1"


def test_an_empty_feed_is_one_too() -> None:
    feed = ET.fromstring(atom([], address="http://localhost", path="/feed.atom", older=None))
    assert feed.findtext("a:updated", namespaces={"a": ATOM})
    assert json.loads(json_feed([], address="http://localhost", path="/feed.json", older=None))["items"] == []


def test_json_feed() -> None:
    feed = json.loads(json_feed([ITEM, OFFERING], **SITE))
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert feed["next_url"].endswith("before=7")
    assert [one["id"] for one in feed["items"]] == ["tag:ip.example,2026:changes/8", "tag:ip.example,2026:changes/7"]
    assert feed["items"][1]["content_text"] == "某中心，共性清单，第 1 版"
