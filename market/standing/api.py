"""The JSON route of standing."""

from litestar import Router, get
from litestar.di import NamedDependency

from infra.db import Transaction
from market import i18n
from market.accounts.model import Role
from market.auth import allow
from market.standing import service
from market.standing.model import InstitutionStanding
from market.web import AppRequest, LangQuery, actor_of


@get("/standing", guards=[allow(Role.INSTITUTION)], summary="Show why you rank where you rank")
async def show(request: AppRequest, tx: NamedDependency[Transaction], lang: LangQuery = None) -> InstitutionStanding:
    """Your offerings in the newest lists of your nodes: places, where you lie behind, what would raise you."""
    return await service.of_institution(tx, actor_of(request), lang or i18n.lang())


def router() -> Router:
    """The routes, for create_app."""
    return Router("/", route_handlers=[show], tags=["standing"])
