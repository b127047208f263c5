"""JSON routes of one's own enterprise."""

from litestar import Response, Router, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from infra.db import Transaction
from market.accounts.model import Role
from market.auth import allow
from market.caching import edited
from market.enterprises import members, queries, service
from market.enterprises.model import Member, OwnEnterprise, ProfileForm
from market.web import AppRequest, actor_of

OWN = [allow(Role.ENTERPRISE)]


@get("/", guards=OWN, summary="Show your enterprise")
async def show(request: AppRequest, tx: NamedDependency[Transaction]) -> OwnEnterprise:
    """The profile that every need starts from."""
    return await service.own(tx, members.enterprise_of(actor_of(request)))


@put("/", guards=OWN, summary="Change your enterprise's profile", opt={"if_match_required": True})
async def change(
    request: AppRequest, tx: NamedDependency[Transaction], data: JSONBody[ProfileForm]
) -> Response[OwnEnterprise]:
    """Write the profile; needs filed before keep what they had."""
    actor = actor_of(request)
    return await edited(
        request,
        tx,
        lambda: service.held(tx, members.enterprise_of(actor)),
        lambda: members.change_profile(tx, actor, data),
        demanded=True,
    )


@get("/accounts", guards=OWN, summary="List your enterprise's accounts")
async def accounts(request: AppRequest, tx: NamedDependency[Transaction]) -> list[Member]:
    """Who can log in for your enterprise."""
    return await queries.members(tx, members.enterprise_of(actor_of(request)))


def router() -> Router:
    """The routes, for create_app."""
    return Router("/enterprise", route_handlers=[show, change, accounts], tags=["accounts"])
