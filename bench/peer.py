"""The peer: two of Zhipei's endpoints as a careful team would write them with FastAPI, pydantic and SQLAlchemy's ORM.

The same tables, triggers, checks and answers: a need with its event, outbox row and idempotency key in one transaction,
for whoever a bearer token belongs to; a page of offerings over the same join. What is left out makes it faster, not
slower: it has no metrics, no request id, no headers of its own, and it files for enterprises only.
"""

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Annotated, Any

import asyncpg
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Text, cast, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import joinedload

from bench.peer_tables import (
    Account,
    ApiToken,
    Deadline,
    Enterprise,
    Event,
    IdempotencyKey,
    Institution,
    InstitutionVersion,
    Need,
    Node,
    Offering,
    OfferingVersion,
    OutboxRow,
    Region,
    ServiceItem,
    ServiceItemVersion,
)
from infra.db import Connection
from infra.settings import Settings
from market.calendars import queries as calendars
from market.calendars.model import Calendar
from market.needs.model import BODY_LIMIT, TEXT
from market.regions.model import NATION

MATCH_DAYS = 3


class Submission(BaseModel):
    """What an enterprise submits."""

    model_config = ConfigDict(extra="forbid")

    body: Annotated[str, StringConstraints(min_length=1, max_length=BODY_LIMIT, pattern=TEXT)]
    region_code: str | None = None
    item_codes: Annotated[list[str], Field(max_length=5)] = []
    wanted_by: date | None = None
    contact_name: Annotated[str, StringConstraints(min_length=1, max_length=50)] | None = None
    contact_phone: Annotated[str, StringConstraints(pattern=r"^[0-9+() -]+$", max_length=30)] | None = None


class NeedOut(BaseModel):
    """A need as its parties see it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    enterprise_id: int
    enterprise_name: str
    submitted_by: int
    channel: str
    state: str
    version: int
    body: str
    item_codes: list[str]
    contact_name: str
    contact_phone: str
    region_code: str
    node_id: int
    node_name: str
    node_prefix: str
    node_region: str
    owner_id: int | None
    owner_name: str | None
    wanted_by: date | None
    understanding: dict[str, Any]
    due_at: datetime
    due_provisional: bool
    created_at: datetime


class Guide(BaseModel):
    """The eight elements of a guide."""

    conditions: list[str] = []
    audience: list[str] = []
    channels: list[str] = []
    materials: list[str] = []
    process: list[str] = []
    time_limit: str = ""
    result: list[str] = []
    supervision: str = ""


class OfferingOut(BaseModel):
    """An offering in its current version."""

    id: int
    version: int
    state: str
    title: str
    summary: str
    guide: Guide
    item_code: str
    item_version: int
    item_name: str
    item_list: str
    rights: list[str]
    stages: list[str]
    institution_id: int
    institution_name: str
    institution_region: str
    region_name: str
    region_codes: list[str]
    audience: list[str]
    channels: list[str]
    fee: str
    promised_days: int | None
    capacity: int
    load: int
    demo: bool
    created_at: datetime


class OfferingPage(BaseModel):
    """A part of the list; ``next`` is the cursor of the part that follows."""

    items: list[OfferingOut]
    next: str | None


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    """A session for the request."""
    async with request.app.state.sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]
Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


async def get_account(session: Session, bearer: Bearer) -> Account:
    """The account of the token, with its enterprise."""
    token_hash = hashlib.sha256(bearer.credentials.encode()).digest()
    account = await session.scalar(
        select(Account)
        .join(ApiToken, ApiToken.account_id == Account.id)
        .where(
            ApiToken.token_hash == token_hash,
            ApiToken.revoked_at.is_(None),
            ApiToken.expires_at > func.now(),
            Account.disabled_at.is_(None),
        )
        .options(joinedload(Account.enterprise))
    )
    if account is None:
        raise HTTPException(401)
    return account


api = APIRouter(prefix="/api/v1")


@api.post("/needs", status_code=201)
async def submit(
    request: Request,
    session: Session,
    account: Annotated[Account, Depends(get_account)],
    submission: Submission,
    idempotency_key: Annotated[str, Header(min_length=1, max_length=255)],
) -> Response:
    """Submit a need, once for each key."""
    if account.enterprise is None:
        raise HTTPException(403)
    asked = b"\n".join((request.method.encode(), request.url.path.encode(), await request.body()))
    fingerprint = hashlib.sha256(asked).digest()
    account_id = account.id
    if kept := await session.get(IdempotencyKey, (account_id, idempotency_key)):
        return _repeat(kept, fingerprint)
    need, body = await _store(request, session, account, account.enterprise, submission)
    session.add_all(
        [
            Event(
                need_id=need.id,
                machine="need",
                from_state="new",
                action="submit",
                to_state="submitted",
                actor_id=account_id,
            ),
            *_clocks(request.app.state.calendar, need.id),
            OutboxRow(topic="match_need", payload={"need_id": need.id}),
            IdempotencyKey(account_id=account_id, key=idempotency_key, fingerprint=fingerprint, status=201, body=body),
        ]
    )
    try:
        await session.commit()
    except IntegrityError:  # the same key at the same time
        await session.rollback()
        kept = await session.get(IdempotencyKey, (account_id, idempotency_key))
        if kept is None:
            raise
        return _repeat(kept, fingerprint)
    return Response(body, status_code=201, media_type="application/json")


async def _store(
    request: Request, session: AsyncSession, account: Account, enterprise: Enterprise, submission: Submission
) -> tuple[Need, bytes]:
    """The need, inserted, and the answer that tells of it."""
    if submission.region_code is not None and await session.get(Region, submission.region_code) is None:
        raise HTTPException(422, "unknown region")
    region_code = submission.region_code or enterprise.region_code
    node = await session.scalar(
        select(Node)
        .where(func.starts_with(region_code, Node.region_prefix))
        .order_by(func.length(Node.region_prefix).desc())
        .limit(1)
    )
    if node is None:
        raise HTTPException(422, "no node covers the region")
    if submission.item_codes:
        known = await session.scalars(select(ServiceItem.code).where(ServiceItem.code.in_(submission.item_codes)))
        if set(submission.item_codes) - set(known):
            raise HTTPException(422, "unknown item")
    calendar: Calendar = request.app.state.calendar
    due_at, due_provisional = calendar.due_at(datetime.now(UTC), MATCH_DAYS)
    need = Need(
        enterprise_id=enterprise.id,
        submitted_by=account.id,
        channel="online",
        state="submitted",
        body=submission.body,
        item_codes=submission.item_codes,
        contact_name=submission.contact_name or enterprise.contact_name,
        contact_phone=submission.contact_phone or enterprise.contact_phone,
        region_code=region_code,
        node_id=node.id,
        owner_id=None,
        wanted_by=submission.wanted_by,
        due_at=due_at,
        due_provisional=due_provisional,
    )
    session.add(need)
    await session.flush()
    facts = {column: getattr(need, column) for column in Need.__table__.columns.keys()}  # noqa: SIM118 - no dict
    out = NeedOut(
        **facts,
        enterprise_name=enterprise.name,
        node_name=node.name,
        node_prefix=node.region_prefix,
        node_region=node.region_code,
        owner_name=None,
    )
    return need, out.model_dump_json().encode()


def _clocks(calendar: Calendar, need_id: int) -> list[Deadline]:
    """The two limits that begin with a need, each with its moments."""
    rows = []
    for kind, days in (("first_contact", 1), ("match", MATCH_DAYS)):
        due_at, provisional = calendar.due_at(datetime.now(UTC), days)
        after = [calendar.add_working_days(due_at.date(), n).day for n in (1, 2)]
        rows.append(
            Deadline(
                need_id=need_id,
                kind=kind,
                state="running",
                days=days,
                due_at=due_at,
                provisional=provisional,
                remind_at=calendar.opening(due_at.date()),
                node_at=calendar.closing(after[0]),
                above_at=calendar.closing(after[1]),
                stamp=1,
            )
        )
    return rows


def _repeat(kept: IdempotencyKey, fingerprint: bytes) -> Response:
    if kept.fingerprint != fingerprint:
        raise HTTPException(422, "the key was used for another request")
    return Response(kept.body, status_code=kept.status, media_type="application/json")


@api.get("/offerings")
async def offerings(
    session: Session, cursor: str | None = None, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> OfferingPage:
    """Published offerings."""
    order = func.md5(cast(Offering.id, Text))
    statement = (
        select(Offering, OfferingVersion, ServiceItemVersion, Institution, InstitutionVersion, Region, order)
        .join(
            OfferingVersion,
            (OfferingVersion.offering_id == Offering.id) & (OfferingVersion.version == Offering.version),
        )
        .join(
            ServiceItemVersion,
            (ServiceItemVersion.item_code == OfferingVersion.item_code)
            & (ServiceItemVersion.version == OfferingVersion.item_version),
        )
        .join(Institution, Institution.id == Offering.institution_id)
        .join(
            InstitutionVersion,
            (InstitutionVersion.institution_id == Institution.id) & (InstitutionVersion.version == Institution.version),
        )
        .join(Region, Region.code == InstitutionVersion.region_code)
        .where(Offering.state == "published", Institution.state == "active")
        .order_by(order)
        .limit(limit + 1)
    )
    if cursor is not None:
        statement = statement.where(order > cursor)
    rows = (await session.execute(statement)).all()
    return OfferingPage(
        items=[_offering(*row[:6]) for row in rows[:limit]], next=rows[limit - 1][6] if len(rows) > limit else None
    )


def _offering(
    offering: Offering,
    version: OfferingVersion,
    item: ServiceItemVersion,
    institution: Institution,
    institution_version: InstitutionVersion,
    region: Region,
) -> OfferingOut:
    return OfferingOut(
        id=offering.id,
        version=version.version,
        state=offering.state,
        title=version.title,
        summary=version.summary,
        guide=Guide(**version.guide),
        item_code=version.item_code,
        item_version=version.item_version,
        item_name=item.name,
        item_list=item.item_list,
        rights=item.rights,
        stages=item.stages,
        institution_id=institution.id,
        institution_name=institution_version.name,
        institution_region=institution_version.region_code,
        region_name=region.name,
        region_codes=version.region_codes,
        audience=version.audience,
        channels=version.channels,
        fee=version.fee,
        promised_days=version.promised_days,
        capacity=offering.capacity,
        load=offering.load,
        demo=institution.demo,
        created_at=version.created_at,
    )


def create_app() -> FastAPI:
    """For ``uvicorn --factory``; ZHIPEI_DATABASE_URL names the database. As many connections as Zhipei keeps."""
    url = os.environ["ZHIPEI_DATABASE_URL"]
    size = Settings().db_connections
    engine = create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://", 1),
        pool_size=size,
        max_overflow=0,
        connect_args={"server_settings": {"jit": "off"}},
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        connection = await asyncpg.connect(url, connection_class=Connection)
        app.state.calendar = (await calendars.calendars(connection)).of(NATION)
        await connection.close()
        app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)
    app.include_router(api)

    @app.get("/healthz")
    async def healthz() -> str:
        return "ok"

    return app
