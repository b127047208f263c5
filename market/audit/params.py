"""What the routes of the audit trail share: who may, what is asked for, and the download."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Annotated

from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream

from infra.db import Transaction
from market.accounts.model import Role
from market.audit import service
from market.audit.model import Action, Filter
from market.audit.table import HEAD, line
from market.auth import allow
from market.web import AppRequest, actor_of, services

ADMIN = [allow(Role.ADMIN)]


async def provide_wanted(
    login: FromQuery[str | None] = None,
    action: FromQuery[str | None] = None,
    about: Annotated[str | None, QueryParameter(name="object")] = None,
    since: FromQuery[date | None] = None,
    until: FromQuery[date | None] = None,
) -> Filter:
    """``login`` of who did it, ``action``, ``object`` (``need:7``) or its kind (``need``), and days."""
    return Filter(login=login or None, action=action or None, object=about or None, since=since, until=until)


async def as_csv(request: AppRequest, tx: Transaction, wanted: Filter) -> Stream:
    """All entries that fit; that they were taken is told of in the trail itself."""
    await service.record(tx, actor_of(request), Action.EXPORT, "audit")
    database = services(request).db

    async def pieces() -> AsyncIterator[bytes]:
        yield HEAD
        async with database.transaction() as reading:
            async for entry in service.everything(reading, wanted):
                yield line(entry)

    headers = {"Content-Disposition": 'attachment; filename="zhipei-audit.csv"'}
    return Stream(pieces(), media_type="text/csv", headers=headers)
