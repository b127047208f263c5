"""The page of the public statistics, and its tables as files."""

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Template

from infra.db import Transaction
from market.caching import kept
from market.errors import NotFound
from market.ledger import queries as ledger
from market.statistics.model import FEWEST, Name
from market.statistics.plots import csv, plots
from market.statistics.service import SECONDS
from market.web import AppRequest, page, services


@get("/statistics")
async def show(request: AppRequest, tx: NamedDependency[Transaction]) -> Template:
    """What the service did in the last twelve whole months, and what there is now."""
    found = await services(request).statistics.get(tx)
    return page(
        "statistics/show.html", found=found, plots=plots(found), fewest=FEWEST, counted_at=await ledger.counted_at(tx)
    )


@get("/statistics/{file:str}")
async def table(request: AppRequest, tx: NamedDependency[Transaction], file: FromPath[str]) -> Response[bytes]:
    """One table: /statistics/needs-by-month.csv.

    Raises:
        NotFound: there is none of that name.
    """
    names = {f"{name}.csv": name for name in Name}
    if file not in names:
        raise NotFound
    found = await services(request).statistics.get(tx)
    headers = {"Content-Disposition": f'attachment; filename="zhipei-{file}"'}
    return kept(request, csv(found, names[file]), "text/csv", SECONDS, headers)


def router() -> Router:
    """The routes, for market.pages."""
    return Router("/", route_handlers=[show, table], include_in_schema=False)
