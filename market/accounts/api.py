"""JSON routes of the account behind a token."""

from litestar import Router, get
from msgspec import Struct

from market.accounts.model import Role
from market.auth import allow
from market.web import AppRequest, actor_of


class Me(Struct, frozen=True, kw_only=True):
    """The account a token acts for."""

    login: str
    name: str
    role: Role
    enterprise_id: int | None
    institution_id: int | None
    node_id: int | None


@get("/me", guards=[allow()], summary="Who am I")
async def me(request: AppRequest) -> Me:
    """The account your token acts for."""
    actor = actor_of(request)
    return Me(
        login=actor.login,
        name=actor.name,
        role=actor.role,
        enterprise_id=actor.enterprise_id,
        institution_id=actor.institution_id,
        node_id=actor.node_id,
    )


def router() -> Router:
    """The routes, for create_app."""
    return Router("/", route_handlers=[me], tags=["accounts"])
