"""All HTML routes, collected from the modules."""

from litestar import Router, get
from litestar.params import FromQuery
from litestar.response import Template

from market.accounts import oidc_pages, own_pages
from market.accounts import pages as accounts
from market.audit import pages as audit
from market.auth import allow
from market.calendars import pages as calendars
from market.catalogue import pages as catalogue
from market.conversations import pages as conversations
from market.deadlines import pages as deadlines
from market.discovery import pages as discovery
from market.enterprises import pages as enterprises
from market.errors import NotFound
from market.expired import read
from market.feeds import pages as feeds
from market.guides import pages as guides
from market.i18n import _
from market.institutions import pages as institutions
from market.learning import pages as learning
from market.ledger import pages as ledger
from market.lists import desk_pages as lists
from market.live import pages as live
from market.matches import desk_pages, owner_pages
from market.matches import pages as matches
from market.messages import pages as messages
from market.needs import counter_pages
from market.needs import pages as needs
from market.notices import pages as notices
from market.offerings import desk_pages as own_offerings
from market.offerings import pages as offerings
from market.personal import own_pages as own_data
from market.plans import pages as plans
from market.queue import pages as queue
from market.ratings import counter_pages as receipts
from market.ratings import desk_pages as own_ratings
from market.ratings import pages as ratings
from market.rules import pages as rules
from market.sitemap import pages as sitemap
from market.standing import pages as standing
from market.statistics import pages as statistics
from market.supervision import pages as supervision
from market.web import AppRequest, page, services


@get("/api/docs", include_in_schema=False)
async def api_docs() -> Template:
    """The API's description, to be read and tried."""
    return page("api-docs.html")


@get("/_design", include_in_schema=False)
async def design(request: AppRequest) -> Template:
    """All components on one page, for whoever works on pages: only while debugging."""
    if not services(request).settings.debug:
        raise NotFound
    return page("design.html")


@get("/resume", include_in_schema=False, guards=[allow()])
async def resume(request: AppRequest, form: FromQuery[str] = "") -> Template:
    """A form that was posted after the log-in had ended, and the button that sends it on.

    Raises:
        NotFound: it is not there any more, or came from another browser.
    """
    posted = read(await services(request).sessions.draft(form), request)
    if posted is None:
        raise NotFound(_("没有找到保留的内容，可能已经超过一天。请回到原来的页面重新填写。"))
    return page("resume.html", posted=posted)


def routers() -> list[Router]:
    """The routes, for create_app. None of them is part of the API's description."""
    modules = (
        accounts,
        audit,
        calendars,
        catalogue,
        conversations,
        counter_pages,
        deadlines,
        desk_pages,
        discovery,
        enterprises,
        feeds,
        guides,
        institutions,
        learning,
        ledger,
        lists,
        live,
        matches,
        messages,
        owner_pages,
        needs,
        notices,
        offerings,
        oidc_pages,
        own_pages,
        own_data,
        own_offerings,
        own_ratings,
        plans,
        queue,
        ratings,
        receipts,
        rules,
        sitemap,
        standing,
        statistics,
        supervision,
    )
    docs = Router("/", route_handlers=[api_docs, design, resume], include_in_schema=False)
    return [docs, *(module.router() for module in modules)]
