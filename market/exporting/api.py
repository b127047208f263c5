"""Exports as downloads. Public; kept by readers until something published changes."""

from typing import Annotated

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from infra.db import Transaction
from market.caching import kept_copy, remember
from market.catalogue import queries as catalogue
from market.exporting import service
from market.exporting.model import MEDIA_TYPES, Format, What, file_name
from market.web import AppRequest, services


@get(
    "/exports/{what:str}",
    opt={"limits": "export", "files": ("text/csv", "application/json")},
    summary="Download lists, offerings or institutions",
)
async def export(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    what: FromPath[What],
    form: Annotated[Format, QueryParameter(name="format")] = Format.CSV,
) -> Response[bytes] | Stream:
    """All that is published, as CSV or JSON, which can be imported again, or in HSDS 3.0. 304 where nothing changed."""
    edition = await catalogue.edition(tx)
    if copy := kept_copy(request, edition):
        return copy
    held = services(request)
    disposition = f'attachment; filename="{file_name(what, form)}"'
    return Stream(
        service.pieces(held.db.transaction, what, form, held.settings.address),
        media_type=MEDIA_TYPES[form],
        headers=remember(edition) | {"Content-Disposition": disposition},
    )


def router() -> Router:
    """The routes, for create_app."""
    return Router("/", route_handlers=[export], tags=["exports"])
