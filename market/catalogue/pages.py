"""The home page with its one text box, and the pages of service items."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, URLEncodedBody
from litestar.response import Redirect, Template
from msgspec import Meta, Struct, structs

from infra.db import Transaction
from market.accounts.model import Actor, Role
from market.calendars.service import Deadlines
from market.catalogue import queries, service
from market.catalogue.changes import version_in_words
from market.catalogue.model import ItemList, ServiceItem
from market.diff import compare
from market.discovery import service as discovery
from market.discovery.facets import facets
from market.discovery.model import ItemFilter, Order
from market.discovery.params import count, of_page
from market.discovery.service import Finder
from market.enterprises import service as enterprises
from market.errors import DomainError, Forbidden
from market.forms import decode, visible
from market.guides import service as guides
from market.i18n import _
from market.institutions import queries as institutions
from market.institutions.model import InstitutionFilter
from market.matches.preview import MOST, fitting
from market.matches.ranking import Catalogue, meant, understand
from market.needs import queries as need_queries
from market.needs import service as needs
from market.needs.model import BODY_LIMIT, NeedBody, Submission
from market.notices import queries as notices
from market.offerings import queries as offerings
from market.offerings.model import Offering, OfferingFilter
from market.ratings import service as ratings
from market.regions import queries as regions
from market.regions.model import Node, nearest
from market.web import AppRequest, Rejected, VersionQuery, go, go_once, one_time_key, page, services
from matching.types import NeedView

Form = URLEncodedBody[dict[str, Any]]
MOST_ITEMS = 5
MOST_STRUCK = 20
MOST_NEAR = 4
MOST_NOTICES = 3
FACETS = ("right", "stage", "item_list", "fee", "time_limit")
LEAST_TEXT = 4
"""Characters from which on there is something to understand."""


class Wish(Struct, frozen=True, kw_only=True):
    """What the home page's form asks for."""

    body: NeedBody
    item_codes: Annotated[tuple[str, ...], Meta(max_length=MOST_ITEMS)] = ()
    without: Annotated[tuple[str, ...], Meta(max_length=MOST_STRUCK)] = ()
    """Items that were understood and struck out."""


@get("/")
async def home(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    catalogue: NamedDependency[Catalogue],
    draft: FromQuery[str] = "",
    item: FromQuery[list[str] | None] = None,
    text: FromQuery[str] = "",
) -> Template:
    """The text box; ``draft`` is the key of a text kept while somebody logged in, ``item`` what they chose before,
    ``text`` what they searched for in vain.
    """
    kept = await services(request).sessions.draft(draft) if draft else None
    codes = [code for code in item or () if code in catalogue.item_names][:MOST_ITEMS]
    begun = visible(text)[:BODY_LIMIT] or "".join(
        _("我想办理「{item}」。", item=catalogue.item_names[code]) for code in codes[:1]
    )
    notice = ("info", _("您写的内容还在。核对一下，点按钮就提交。")) if kept and request.user else None
    return await _home(request, tx, catalogue, {"body": kept or begun, "item_codes": codes}, notice=notice)


@post("/")
async def submit(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    catalogue: NamedDependency[Catalogue],
    data: Form,
) -> Redirect:
    """Submit a need in one click; whoever has not logged in does so first and finds the text again."""
    try:
        wish = _settled(decode(Wish, data), catalogue)
        if request.user is None:
            return await _log_in_first(request, wish)
        # Not injected: Litestar would fetch it beside the catalogue, and a connection does one thing at a time.
        deadlines = await services(request).deadlines.get(tx)
        return await _submit(request, tx, request.user, wish, data, deadlines)
    except DomainError as error:
        notice = ("bad", error.detail) if "body" not in error.fields else None
        raise Rejected(
            await _home(request, tx, catalogue, data, errors=error.fields, notice=notice, status=error.status)
        ) from None


@post("/understand", status_code=200, opt={"limits": "search"})
async def understanding(
    request: AppRequest, tx: NamedDependency[Transaction], catalogue: NamedDependency[Catalogue], data: Form
) -> Template:
    """What is understood of the text so far, as the fragment that the home page shows under it."""
    return page("catalogue/_understood.html", **await _understood(request, tx, catalogue, data))


@get("/items", opt={"limits": "search"})
async def listing(
    request: AppRequest,
    tx: NamedDependency[Transaction],
    finder: NamedDependency[Finder],
    withdrawn: FromQuery[bool] = False,
) -> Template:
    """All service items in force by their list, or those that a search finds, the best first; or those withdrawn."""
    wanted, order = of_page(request, ItemFilter), of_page(request, Order)
    found = await discovery.items(tx, finder, wanted, order)
    await count(request, tx, wanted.q, found.total)
    everything = wanted == ItemFilter()
    listed = await (queries.withdrawn(tx) if withdrawn else queries.items(tx)) if everything else []
    groups = {kind: [item for item in listed if item.item_list is kind] for kind in ItemList}
    return page(
        "catalogue/items.html",
        wanted=wanted,
        order=order,
        found=found,
        groups=groups if everything else {},
        withdrawn=withdrawn,
        facets=await facets(tx, found.facets, wanted, FACETS),
        completions=await discovery.completions(finder, wanted.q),
    )


@get("/items/{code:str}")
async def show(tx: NamedDependency[Transaction], code: FromPath[str], version: VersionQuery = None) -> Template:
    """One service item with its guide, and who offers it."""
    item: ServiceItem = await service.find(tx, code, version)
    offered = await offerings.page(tx, OfferingFilter(item_code=code), None, limit=6)
    guide = await guides.of_item(tx, code, version)
    found = await queries.versions(tx, code)
    return page(
        "catalogue/item.html",
        item=item,
        offered=offered,
        versions=found,
        current=found[0],
        complaints=guide.complaints,
        rated=await ratings.by_institution(tx, code),
    )


@get("/items/{code:str}/compare")
async def compare_versions(
    tx: NamedDependency[Transaction], code: FromPath[str], before: VersionQuery = None, after: VersionQuery = None
) -> Template:
    """Two versions side by side; left out: the newest and the one before it."""
    new = await service.find(tx, code, after)
    old = await service.find(tx, code, before or max(new.version - 1, 1))
    return page(
        "compare.html",
        title=new.name,
        base=f"/items/{code}",
        found=await queries.versions(tx, code),
        before=old.version,
        after=new.version,
        differences=compare(version_in_words(old), version_in_words(new)),
    )


async def _submit(
    request: AppRequest, tx: Transaction, actor: Actor, wish: Wish, form: Mapping[str, Any], deadlines: Deadlines
) -> Redirect:
    if actor.role is not Role.ENTERPRISE:
        raise Forbidden(_("您以{role}的身份登录，需求要由企业自己提交，或由窗口人员代为登记。", role=actor.role_name))

    # A browser that has gone back may have the text in a page made anew, whose key is another.
    if (same := await need_queries.same(tx, actor.id, wish.body)) is not None:
        return go(f"/needs/{same}?again=1")

    async def act() -> str:
        await services(request).pressure.admit(tx, person=True)
        need = await needs.submit(tx, actor, Submission(body=wish.body, item_codes=wish.item_codes), deadlines)
        return f"/needs/{need.id}"

    # What is ticked below the text comes and goes by itself: the text says whether it is the same wish.
    return await go_once(tx, actor, form, act, wish={"body": wish.body})


def _settled(wish: Wish, catalogue: Catalogue) -> Wish:
    """The wish with the items that it means."""
    codes = meant(catalogue, wish.body, wish.item_codes, wish.without)
    return structs.replace(wish, item_codes=codes[:MOST_ITEMS])


async def _log_in_first(request: AppRequest, wish: Wish) -> Redirect:
    key = await services(request).sessions.keep_draft(wish.body)
    back = "/?" + urlencode({"draft": key, "item": wish.item_codes}, doseq=True)
    return go("/login?" + urlencode({"next": back}))


async def _home(
    request: AppRequest,
    tx: Transaction,
    catalogue: Catalogue,
    values: Mapping[str, Any],
    *,
    errors: Mapping[str, str] | None = None,
    notice: tuple[str, str] | None = None,
    status: int = 200,
) -> Template:
    offered = await discovery.offerings(tx, services(request).finder, OfferingFilter(), Order(size=1))
    home = await _home_region(request, tx)
    city = home and f"{home[:4]}00"
    return page(
        "catalogue/home.html",
        status=status,
        values=values,
        errors=errors or {},
        notice=notice,
        key=one_time_key(),
        node=_node_for(await regions.nodes(tx), home),
        region=city,
        near=await institutions.page(tx, InstitutionFilter(within=city), None, limit=MOST_NEAR, offset=0),
        notices=await notices.page(tx, (), None, limit=MOST_NOTICES, offset=0),
        counts=offered.facets.get("stage", {}),
        offerings=offered.total,
        items=len(catalogue.item_names),
        institutions=await institutions.count(tx),
        **await _understood(request, tx, catalogue, values),
    )


async def _understood(
    request: AppRequest, tx: Transaction, catalogue: Catalogue, form: Mapping[str, Any]
) -> dict[str, Any]:
    """The context of the fragment; ``understanding`` is None while there is too little text."""
    text = visible(str(form.get("body", "")))[:BODY_LIMIT]
    without = _codes(form, "without", catalogue)
    chosen = [code for code in _codes(form, "item_codes", catalogue) if code not in without]
    found = understand(catalogue, text) if len(text) >= LEAST_TEXT else None
    offered = dict.fromkeys([*chosen, *(found.item_codes if found else ())])
    likely = chosen or [code for code in offered if code not in without]
    return {
        "understanding": found,
        "chosen": chosen,
        "without": without,
        "options": {code: catalogue.item_names[code] for code in offered},
        "fits": [] if found is None or found.outside_scope else await _fits(request, tx, catalogue, text, likely),
    }


def _codes(form: Mapping[str, Any], name: str, catalogue: Catalogue) -> list[str]:
    """The items ticked under that name."""
    given = form.get(name) or []
    return [code for code in ([given] if isinstance(given, str) else given) if code in catalogue.item_names]


async def _fits(
    request: AppRequest, tx: Transaction, catalogue: Catalogue, text: str, codes: list[str]
) -> list[Offering]:
    """What would be proposed to the enterprise; to somebody unknown, who offers the likeliest item."""
    region = await _home_region(request, tx)
    node = region and nearest(await regions.nodes(tx), region)
    if region and node:
        view = NeedView(text=text, region_code=region, territory=node.region_code)
        return await fitting(tx, catalogue, view, codes)
    if not codes:
        return []
    return await offerings.page(tx, OfferingFilter(item_code=codes[0]), None, limit=MOST)


async def _home_region(request: AppRequest, tx: Transaction) -> str | None:
    """Where the enterprise that asks is at home; None for anybody else."""
    actor = request.user
    return await enterprises.region_code(tx, actor.enterprise_id) if actor and actor.enterprise_id else None


def _node_for(nodes: list[Node], region: str | None) -> Node | None:
    """The node that will match. For somebody unknown it is certain only where there is just one."""
    if region:
        return nearest(nodes, region)
    return nodes[0] if len(nodes) == 1 else None


def router() -> Router:
    """The routes, for market.pages."""
    handlers = [home, submit, understanding, listing, show, compare_versions]
    return Router("/", route_handlers=handlers, include_in_schema=False)
