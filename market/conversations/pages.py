"""The form for a letter, on the need's page."""

from typing import Any

from litestar import Router, post
from litestar.di import NamedDependency, Provide
from litestar.params import URLEncodedBody
from litestar.response import Redirect

from infra.db import start_over
from market.accounts.model import Role
from market.auth import allow
from market.conversations import service
from market.conversations.model import WRITERS, NewLetter
from market.errors import DomainError
from market.forms import decode
from market.matches.pages import Draft, work_page
from market.needs.pages import Shown, provide_shown, refused
from market.web import Rejected, actor_of, go_once

FORM = "letter"


@post("/needs/{need_id:int}/letters", guards=[allow(*WRITERS)])
async def write(shown: NamedDependency[Shown], data: URLEncodedBody[dict[str, Any]]) -> Redirect:
    """Write, and show the need with the letter in its story."""
    actor = actor_of(shown.request)

    async def act() -> str:
        await service.write(shown.tx, actor, shown.need_id, decode(NewLetter, data).text)
        return f"/needs/{shown.need_id}#letters"

    try:
        return await go_once(shown.tx, actor, data, act)
    except DomainError as error:
        raise await _again(shown, error, data) from None


async def _again(shown: Shown, error: DomainError, typed: dict[str, Any]) -> Rejected:
    if actor_of(shown.request).role is not Role.COORDINATOR:
        return await refused(shown, error, form=FORM, typed=typed)
    await start_over(shown.tx)
    draft = Draft(form=FORM, values=typed, errors=error.fields)
    told = ("bad", error.detail)
    need_id, deadlines = shown.need_id, shown.deadlines
    return Rejected(
        await work_page(shown.request, shown.tx, deadlines, need_id, draft=draft, notice=told, status=error.status)
    )


def router() -> Router:
    """The routes, for market.pages."""
    return Router("/", route_handlers=[write], dependencies={"shown": Provide(provide_shown)}, include_in_schema=False)
