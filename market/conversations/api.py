"""JSON routes of letters on a need."""

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from infra.db import Transaction
from market.auth import allow
from market.conversations import service
from market.conversations.model import WRITERS, Letter, NewLetter
from market.web import AppRequest, PathId, actor_of, once


@get("/{need_id:int}/letters", guards=[allow()], summary="List a need's letters")
async def letters(request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId) -> list[Letter]:
    """What enterprise, node and institution wrote to each other, oldest first; an institution reads its own part."""
    return await service.letters(tx, actor_of(request), need_id)


@post("/{need_id:int}/letters", guards=[allow(*WRITERS)], summary="Write a letter")
async def write(
    request: AppRequest, tx: NamedDependency[Transaction], need_id: PathId, data: JSONBody[NewLetter]
) -> Response[Letter]:
    """Write to the others whom the need concerns, while it is open. A letter cannot be changed or taken back."""
    actor = actor_of(request)
    return await once(
        request,
        tx,
        lambda: service.write(tx, actor, need_id, data.text),
        status=201,
        at=f"/api/v1/needs/{need_id}/letters",
    )


def router() -> Router:
    """The routes, for create_app."""
    return Router("/needs", route_handlers=[letters, write], tags=["needs"])
