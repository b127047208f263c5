"""Pages of logging in through an OpenID provider, and of linking its identity to an account."""

import hashlib
import secrets
from typing import Annotated

import msgspec
from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Redirect, Template

from infra.db import Transaction
from infra.sealing import seal_token
from market.accounts import queries
from market.accounts.oidc import KEPT_SECONDS, Attempt, Person, Provider
from market.accounts.own_pages import Asked, Form, asked_again
from market.accounts.pages import PERSON_COOKIE, PERSON_SECONDS, admit, person_of
from market.auth import allow, cookie, cookie_name
from market.errors import AlreadyLinked, DomainError, NotFound, SignInFailed
from market.forms import decode
from market.i18n import _
from market.web import AppRequest, Rejected, actor_of, form_page, go, page, services

ATTEMPT_COOKIE = "zhipei_oidc"
Next = Annotated[str, QueryParameter(name="next", max_length=2000)]


@get("/login/oidc", opt={"limits": "write"})
async def start(request: AppRequest, wanted: Next = "") -> Redirect:
    """Go to the provider. What comes back counts once, and only in this browser."""
    held, provider = services(request), _provider(request)
    address, attempt = await provider.start(wanted)
    key = secrets.token_urlsafe(32)
    await held.redis.set(_key(request, key), msgspec.json.encode(attempt), ex=int(KEPT_SECONDS))
    answer = go(address)
    answer.set_cookie(cookie(held.settings, ATTEMPT_COOKIE, key, int(KEPT_SECONDS)))
    return answer


@get("/login/oidc/callback", opt={"limits": "write"})
async def come_back(request: AppRequest) -> Redirect:
    """Log in with a linked identity; an unknown one is asked whose it is."""
    provider = _provider(request)
    try:
        answered = request.query_params
        attempt = await _attempt(request, answered.get("state", ""))
        if not answered.get("code") or answered.get("iss", provider.issuer) != provider.issuer:  # RFC 9207
            raise SignInFailed
        person = await provider.finish(attempt, answered["code"])
    except DomainError as failed:
        raise Rejected(_failed(request, failed)) from None
    held = services(request)
    async with held.db.reading() as tx:
        known = await queries.credentials_by_identity(tx, person.identity.issuer, person.identity.subject)
    if known is not None:
        answer = await admit(request, known, attempt.wanted, "oidc")
    else:
        answer = go("/account/identity" if request.user else "/login/identity")
        token = seal_token(held.cipher, "person", person, PERSON_SECONDS)
        answer.set_cookie(cookie(held.settings, PERSON_COOKIE, token, PERSON_SECONDS))
    answer.set_cookie(cookie(held.settings, ATTEMPT_COOKIE, "", 0))
    return answer


@get("/login/identity")
async def whose(request: AppRequest) -> Template:
    """An identity that belongs to no account: log in to link it, or register."""
    return page("accounts/whose.html", person=_person(request), provider=_provider(request).name)


@get("/account/identity", guards=[allow()])
async def link_form(request: AppRequest) -> Template:
    """Ask before the identity becomes a way into the account."""
    return _link_page(request)


@post("/account/identity", guards=[allow()])
async def link(request: AppRequest, data: Form) -> Redirect:
    """Link it. The password is asked again: whoever finds a browser open must not leave with a key of his own."""
    person = _person(request)
    try:
        known = await asked_again(request, decode(Asked, data).password)
    except DomainError as error:
        raise Rejected(_link_page(request, error)) from None
    async with services(request).db.transaction() as tx:
        if not await queries.link(tx, known.id, person.identity):
            raise AlreadyLinked
    answer = go("/account?done=linked")
    answer.set_cookie(cookie(services(request).settings, PERSON_COOKIE, "", 0))
    return answer


@post("/account/identity/remove", guards=[allow()])
async def unlink(request: AppRequest, tx: NamedDependency[Transaction]) -> Redirect:
    """Take the link back; the password stays."""
    if not await queries.unlink(tx, actor_of(request).id, _provider(request).issuer):
        raise NotFound
    return go("/account?done=unlinked")


def _provider(request: AppRequest) -> Provider:
    provider = services(request).provider
    if provider is None:
        raise NotFound
    return provider


def _person(request: AppRequest) -> Person:
    person = person_of(request)
    if person is None:
        raise Rejected(go("/login"))
    return person


async def _attempt(request: AppRequest, state: str) -> Attempt:
    """What this browser was sent away with; taken out, so that it counts once.

    Raises:
        SignInFailed: it was sent away with something else, or came back before.
    """
    held = services(request)
    key = request.cookies.get(cookie_name(held.settings, ATTEMPT_COOKIE), "")
    kept = await held.redis.getdel(_key(request, key)) if key else None
    attempt = msgspec.json.decode(kept, type=Attempt) if kept else None
    if attempt is None or not secrets.compare_digest(attempt.state.encode(), state.encode()):
        raise SignInFailed
    return attempt


def _link_page(request: AppRequest, error: DomainError | None = None) -> Template:
    person, provider = _person(request), _provider(request).name
    return form_page("accounts/identity.html", error, person=person, provider=provider, actor=actor_of(request))


def _failed(request: AppRequest, error: DomainError) -> Template:
    answer = page("accounts/failed.html", status=error.status, title=_(error.title), detail=error.detail)
    answer.set_cookie(cookie(services(request).settings, ATTEMPT_COOKIE, "", 0))
    return answer


def _key(request: AppRequest, key: str) -> str:
    return f"{services(request).settings.namespace}:oidc:{hashlib.sha256(key.encode()).hexdigest()}"


def router() -> Router:
    """The routes, for market.pages."""
    handlers = [start, come_back, whose, link_form, link, unlink]
    return Router("/", route_handlers=handlers, include_in_schema=False)
