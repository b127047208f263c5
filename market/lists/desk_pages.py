"""Lists as those who keep them see them: what is on its way, drafting, reviewing, taking up."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect, Template
from msgspec import structs

from infra.db import Transaction
from market.accounts.model import Actor, Role
from market.auth import allow
from market.catalogue import queries as catalogue
from market.catalogue.guide_form import fields_of, lines, with_guide
from market.catalogue.model import (
    ITEM_LIST_NAMES,
    LIMIT_HINT,
    RIGHT_NAMES,
    STAGE_NAMES,
    ItemList,
    ServiceItem,
    limit_text,
    parse_limit,
)
from market.diff import FieldDiff
from market.errors import Conflict, DomainError, EditedMeanwhile, InvalidInput, NotFound
from market.forms import decode, merged
from market.guides import queries as guide_queries
from market.guides import service as guides
from market.guides.model import ChannelForm
from market.i18n import Words, _
from market.lists import queries, service, taking_up
from market.lists.model import (
    OPEN,
    ContentForm,
    Move,
    NewRevision,
    Revision,
    RevisionState,
    Save,
    Withdrawal,
)
from market.matches import queries as matches
from market.matches.model import DeclineCount
from market.web import AppRequest, PathId, Rejected, actor_of, go, go_once, one_time_key, page, page_of, read_cursor

STAFF = [allow(Role.INSTITUTION, Role.COORDINATOR, Role.ADMIN)]
WRITERS = [allow(Role.INSTITUTION, Role.ADMIN)]
INSTITUTIONS = [allow(Role.INSTITUTION)]
MOST_OPEN = 200
ENDED_ROWS = 20
ENDED = [RevisionState.PUBLISHED, RevisionState.DISCARDED]
LINE_FIELDS = ("aliases", "handlers")
LIMIT_FIELDS = ("statutory_limit", "promised_limit")
Form = dict[str, Any]


@get("/", guards=STAFF)
async def desk(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    cursor: FromQuery[str | None] = None,
    done: FromQuery[str] = "",
) -> Template:
    """What waits for the reader, what is on its way, and the lists the reader keeps."""
    return await _desk(tx, actor_of(request), cursor=cursor, done=done)


async def _desk(
    tx: Transaction,
    actor: Actor,
    *,
    cursor: str | None = None,
    done: str = "",
    values: Mapping[str, Any] | None = None,
    error: DomainError | None = None,
) -> Template:
    """``values`` and ``error``: of the node's channel, where that came back."""
    on_their_way = await queries.page(tx, actor, list(OPEN), before=None, limit=MOST_OPEN)
    ended = await queries.page(tx, actor, ENDED, before=read_cursor(cursor, int), limit=ENDED_ROWS + 1)
    to_review = [one for one in on_their_way if one.state is RevisionState.IN_REVIEW and service.reviews(actor, one)]
    mine = actor.institution_id
    if values is None and actor.node_id:
        values = {"supervision": await guide_queries.channel(tx, actor.node_id)}
    return page(
        "lists/desk.html",
        status=error.status if error else 200,
        actor=actor,
        to_review=to_review,
        on_their_way=[one for one in on_their_way if one not in to_review],
        ended=page_of(ended, ENDED_ROWS, lambda one: one.id),
        common=await taking_up.common(tx, actor) if mine else None,
        declines=await _declines(tx, mine) if mine else {},
        kept=await _kept(tx, actor),
        done=done,
        channel=values,
        errors=error.fields if error else {},
    )


@get("/new", guards=WRITERS)
async def new(
    request: AppRequest, tx: NamedDependency[Transaction], item: FromQuery[str | None] = None
) -> Template | Redirect:
    """The form of a new item, or of the next version of one's own; an open revision is gone on with."""
    actor = actor_of(request)
    if item is None:
        first = ItemList.SPECIFIC if actor.institution_id else ItemList.COMMON
        return await _form(tx, actor, {"item_list": first})
    found = await service.own_item(tx, actor, item)
    if open_one := await queries.open_of(tx, item):
        return go(f"/lists/{open_one.id}")
    return await _form(tx, actor, _fields(service.form_of(found)) | {"item_code": item}, item=found)


@post("/new", guards=WRITERS)
async def add(request: AppRequest, tx: NamedDependency[Transaction], data: URLEncodedBody[Form]) -> Redirect:
    """Keep a new draft; a double click keeps one."""
    actor = actor_of(request)
    item = await catalogue.item(tx, str(data.get("item_code", "")))

    async def act() -> str:
        return f"/lists/{await service.draft(tx, actor, _decoded(NewRevision, data))}"

    try:
        return await go_once(tx, actor, data, act)
    except (InvalidInput, Conflict) as error:
        raise Rejected(await _form(tx, actor, data, item=item, error=error)) from None


@get("/{revision_id:int}", guards=STAFF)
async def show(request: AppRequest, tx: NamedDependency[Transaction], revision_id: PathId) -> Template:
    """What a revision would change, its story, and what the reader may do with it."""
    return await _show(tx, actor_of(request), revision_id)


@get("/{revision_id:int}/edit", guards=WRITERS)
async def edit(request: AppRequest, tx: NamedDependency[Transaction], revision_id: PathId) -> Template:
    """The form, as the draft is now; for those who may save it."""
    actor = actor_of(request)
    revision = await service.find(tx, actor, revision_id)
    if not service.writes(actor, revision.institution_id):
        raise NotFound
    return await _form(tx, actor, _fields(revision.form) | {"edit": revision.edit}, revision=revision)


@post("/{revision_id:int}/edit", guards=WRITERS)
async def save(
    request: AppRequest, tx: NamedDependency[Transaction], revision_id: PathId, data: URLEncodedBody[Form]
) -> Redirect:
    """Keep the draft as changed."""
    actor = actor_of(request)

    async def act() -> str:
        await service.save(tx, actor, revision_id, _decoded(Save, data))
        return f"/lists/{revision_id}"

    try:
        return await go_once(tx, actor, data, act)
    except EditedMeanwhile as error:
        revision = await service.find(tx, actor, revision_id)
        seen = await queries.edit(tx, revision_id, int(data["edit"]))
        others = await service.since_edit(tx, revision, int(data["edit"]))
        # Shown once, what the others did counts as seen: the next save goes on top of it.
        newest = _fields(revision.form)
        now = merged(data, _fields(seen) if seen else newest, newest) | {"edit": revision.edit}
        raise Rejected(await _form(tx, actor, now, revision=revision, error=error, others=others)) from None
    except (InvalidInput, Conflict) as error:
        revision = await service.find(tx, actor, revision_id)
        raise Rejected(await _form(tx, actor, data, revision=revision, error=error)) from None


@post("/{revision_id:int}/move", guards=STAFF)
async def move(
    request: AppRequest, tx: NamedDependency[Transaction], revision_id: PathId, data: URLEncodedBody[Form]
) -> Redirect:
    """Submit, take back, discard, approve or send back."""
    actor = actor_of(request)

    async def act() -> str:
        return f"/lists?done={await service.move(tx, actor, revision_id, decode(Move, data))}"

    try:
        return await go_once(tx, actor, {**data, "path": request.url.path}, act)
    except (InvalidInput, Conflict) as error:
        raise Rejected(await _show(tx, actor, revision_id, values=data, error=error)) from None


@get("/withdraw", guards=WRITERS)
async def ask_to_withdraw(request: AppRequest, tx: NamedDependency[Transaction], item: FromQuery[str] = "") -> Template:
    """Why, and from when on."""
    found = await service.own_item(tx, actor_of(request), item)
    return page("lists/withdraw.html", item=found, values={"key": one_time_key()}, errors={})


@post("/withdraw", guards=WRITERS)
async def withdraw(request: AppRequest, tx: NamedDependency[Transaction], data: URLEncodedBody[Form]) -> Redirect:
    """Send an item's withdrawal to review."""
    actor = actor_of(request)
    item = await service.own_item(tx, actor, str(data.get("item_code", "")))

    async def act() -> str:
        return f"/lists/{await service.withdraw(tx, actor, item.code, decode(Withdrawal, data))}"

    try:
        return await go_once(tx, actor, data, act)
    except (InvalidInput, Conflict) as error:
        notice = None if error.fields else ("bad", error.detail)
        raise Rejected(
            page(
                "lists/withdraw.html",
                status=error.status,
                item=item,
                values=data,
                errors=error.fields,
                notice=notice,
            )
        ) from None


@post("/take-up", guards=INSTITUTIONS)
async def take_up(request: AppRequest, tx: NamedDependency[Transaction], data: URLEncodedBody[Form]) -> Redirect:
    """Take up one item of the common list; all of it only where that was said, for what is taken up binds."""
    code = str(data.get("item_code", ""))
    if not code and data.get("all") != "true":
        return go("/lists#common")
    await taking_up.take_up(tx, actor_of(request), (code,) if code else None)
    return go("/lists?done=taken_up#common")


@post("/channel", guards=[allow(Role.COORDINATOR)])
async def publish_channel(
    request: AppRequest, tx: NamedDependency[Transaction], data: URLEncodedBody[Form]
) -> Redirect:
    """Say where the node wants complaints and praise."""
    actor = actor_of(request)
    try:
        await guides.publish_channel(tx, actor, decode(ChannelForm, data))
    except InvalidInput as error:
        raise Rejected(await _desk(tx, actor, values=data, error=error)) from None
    return go("/lists?done=channel")


async def _kept(tx: Transaction, actor: Actor) -> list[ServiceItem]:
    """The items of the lists that the actor writes."""
    if actor.institution_id is not None:
        return await catalogue.of_institution(tx, actor.institution_id)
    if actor.role is Role.ADMIN:
        return [item for item in await catalogue.items(tx) if item.institution_id is None]
    return []


async def _declines(tx: Transaction, institution_id: int) -> dict[str, DeclineCount]:
    """By item: what the institution asked not to serve in the last year, and what became of it."""
    now = datetime.now(UTC)
    found = await matches.declines(tx, now - timedelta(days=365), now, institution_id)
    return {one.item_code: one for one in found}


async def _show(
    tx: Transaction,
    actor: Actor,
    revision_id: int,
    *,
    values: Mapping[str, Any] | None = None,
    error: DomainError | None = None,
) -> Template:
    revision = await service.find(tx, actor, revision_id)
    stale = isinstance(error, EditedMeanwhile)
    given = str((values or {}).get("edit", ""))
    return page(
        "lists/show.html",
        status=error.status if error else 200,
        actor=actor,
        revision=revision,
        differences=await service.differences(tx, revision),
        meanwhile=await service.since_base(tx, revision) if revision.state in OPEN else [],
        others=await service.since_edit(tx, revision, int(given)) if stale and given.isdigit() else [],
        steps=await queries.steps(tx, revision_id),
        mine=service.writes(actor, revision.institution_id),
        reviewer=service.reviews(actor, revision),
        wrote=actor.id in revision.writers,
        values=values or {},
        key=one_time_key(),
        errors=error.fields if error else {},
        labels=LABELS,
        notice=("bad", error.detail) if error and not error.fields else None,
    )


LABELS: Mapping[str, str] = Words({
    "item_code": "事项编码", "name": "事项名称", "item_group": "分类", "item_list": "清单", "rights": "权利类型",
    "stages": "环节", "aliases": "通俗说法", "fee": "收费", "handlers": "办理单位", "statutory_limit": "法定时限",
    "promised_limit": "承诺时限", "effective_from": "生效日期", "effective_until": "有效期至", "reason": "修订说明",
    "guide": "办事指南", "guide.audience": "服务对象", "guide.channels": "获取途径", "guide.process": "办理流程",
    "guide.result": "办理结果", "note": "意见",
})  # fmt: skip


async def _form(
    tx: Transaction,
    actor: Actor,
    values: Mapping[str, Any],
    *,
    item: ServiceItem | None = None,
    revision: Revision | None = None,
    error: DomainError | None = None,
    others: list[FieldDiff] | None = None,
) -> Template:
    """The form with ``values``: of a revision, of a first draft of ``item``, or of a new item."""
    choices = dict(ITEM_LIST_NAMES)
    if values.get("item_list") != ItemList.SPECIFIC:
        del choices[ItemList.SPECIFIC]
    known = await catalogue.items(tx)
    return page(
        "lists/form.html",
        status=error.status if error else 200,
        item=item,
        revision=revision,
        values=values,
        errors=error.fields if error else {},
        labels=LABELS,
        notice=("bad", error.detail) if error and not error.fields else None,
        others=others,
        meanwhile=await service.since_base(tx, revision) if revision else [],
        own=actor.institution_id is not None,
        list_names=choices,
        groups=sorted({one.item_group for one in known}),
        key=values.get("key") or one_time_key(),
        limit_hint=_(LIMIT_HINT),
        right_names=RIGHT_NAMES,
        stage_names=STAGE_NAMES,
    )


def _fields(form: ContentForm) -> Form:
    """A draft as form fields."""
    fields = structs.asdict(form)
    texts = {name: "\n".join(fields[name]) for name in LINE_FIELDS}
    limits = {name: limit_text(fields[name]) for name in LIMIT_FIELDS}
    return fields | texts | limits | fields_of(form.guide)


def _decoded(kind: type[ContentForm], data: Form) -> Any:
    """What was posted as a ``kind``.

    Raises:
        InvalidInput: with every field that does not fit.
    """
    raw = with_guide(data) | {name: lines(data.get(name, "")) for name in LINE_FIELDS}
    unfit = {}
    for name in LIMIT_FIELDS:
        try:
            text = str(data.get(name, "")).strip()
            raw[name] = parse_limit(text) if text else None
        except ValueError:
            unfit[name], raw[name] = _(LIMIT_HINT), None
    try:
        form = decode(kind, raw)
    except InvalidInput as error:
        raise InvalidInput(fields=unfit | error.fields) from None
    if unfit:
        raise InvalidInput(fields=unfit)
    return form


def router() -> Router:
    """The routes, for market.pages."""
    return Router(
        "/lists",
        route_handlers=[desk, new, add, show, edit, save, move, ask_to_withdraw, withdraw, take_up, publish_channel],
        include_in_schema=False,
    )
