"""A guide as the fields of a form, and back: a list is a text of one element a line."""

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from market.catalogue.model import Guide
from market.forms import visible

LISTS = ("conditions", "audience", "channels", "materials", "process", "result")
TEXTS = ("time_limit", "supervision")


def fields_of(guide: Guide) -> dict[str, str]:
    """The guide as form fields, ``guide.conditions`` and so on."""
    fields = structs.asdict(guide)
    lists = {f"guide.{name}": "\n".join(fields[name]) for name in LISTS}
    return lists | {f"guide.{name}": fields[name] for name in TEXTS}


def with_guide(data: Mapping[str, Any]) -> dict[str, Any]:
    """What was posted, with the guide's fields put together."""
    lists = {name: lines(data.get(f"guide.{name}", "")) for name in LISTS}
    texts = {name: visible(str(data.get(f"guide.{name}", ""))) for name in TEXTS}
    return {**data, "guide": texts | lists}


def lines(text: object) -> list[str]:
    """The lines of a text that say anything."""
    return [line.strip() for line in visible(str(text)).split("\n") if line.strip()]
