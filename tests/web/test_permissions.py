"""Every route with every role, with objects of one's own and of others: exactly the table of market/permissions.py."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from litestar import Litestar, get
from msgspec import Struct

from infra.db import Database, Transaction
from infra.settings import Settings, load
from market.accounts import queries as accounts
from market.accounts.model import Role
from market.accounts.service import create_token
from market.app import create_app
from market.calendars.service import DeadlinesSource
from market.catalogue.model import ItemList
from market.enterprises import queries as enterprises
from market.enterprises.model import Party
from market.errors import InvalidInput
from market.lists import service as lists
from market.lists.model import NewRevision
from market.live import hub
from market.matches import ranking
from market.needs import service as need_service
from market.needs.model import Need, Submission
from market.notices import service as notices
from market.notices.model import NoticeForm
from market.permissions import API, VISITOR, WHO, Reach, Row, UndeclaredError, rows
from market.permissions_doc import PATH, document
from market.plans import service as plans
from market.plans.model import RuleForm, RuleKind
from market.ratings import service as ratings
from market.ratings.model import RatingForm, RatingLevel
from market.supervision import service as supervision
from market.supervision.model import Notice
from tests.conftest import Api, Login
from tests.factories import PATENT, World, serve

pytestmark = pytest.mark.anyio

LOGINS = {role.value: role.value for role in Role}
"""A login of the small world for each role."""
NOT_HERE = {
    "/api/{path}", "/static/dist/{file_path}", "/login/oidc", "/login/oidc/callback", "/login/identity", "/reset",
    "/_design", "/account/identity/remove", "/lists/withdraw", "/models/{version}/{step}", "/receipt/{need_id}",
    "/receipt/{need_id}/rating", "/receipt/{need_id}/remark", "/receipt/{need_id}/revisit", "/mail/confirm",
    "/mail/stop", "/join", "/resume", "/.well-known/security.txt", "/account/messages/test/{channel}",
}  # fmt: skip
"""Nothing is there: no such address, file, provider, link, identity, item of one's own, model, receipt, or letter."""
IN_FORMS = ("offering_id", "match_id", "need_id", "institution_id", "action")
ASKED = {"period": "2026-07", "what": "offered"}
"""What ledgers have to be asked for."""
MESSAGE = """
INSERT INTO messages (account_id, source, source_id, kind, subject, urgent)
SELECT id, 'test', id, 'taken', 'needs', false FROM accounts WHERE login = $1 RETURNING id
"""
FORM = {
    "note": "经核实的理由", "reason": "就近办理", "remark": "补充说明", "body": "想申请发明专利，请指导一下流程",
    "title": "服务标题",
    "summary": "服务说明。", "kind": "news", "level": "5", "grant": "true", "keep": "true", "founded": "true",
    "satisfied": "true", "capacity": "5", "state": "paused", "version": "1", "edit": "1", "action": "take_back",
    "contact_name": "王敏", "contact_phone": "0755-00000001", "result": "已办结", "answer": "take_on", "accept": "true",
    "region_codes": "440300", "audience": "企业", "channels": "线上", "fee": "免费", "name": "事项名称",
    "item_group": "专利",
    "item_list": "specific", "effective_from": "2030-01-01", "password": "x", "days": "5", "code": "123456",
}  # fmt: skip


class Objects(Struct, frozen=True):
    """By role and parameter: an object within reach, and one beyond."""

    own: Mapping[str, Mapping[str, Any]]
    foreign: Mapping[str, Mapping[str, Any]]


async def _rated(db: Database, need: int, actor: Any) -> int:
    async with db.transaction() as tx:
        await ratings.rate(
            tx, actor, need, RatingForm(level=RatingLevel(2), remark="不太满意"), await DeadlinesSource().get(tx), None
        )
        return int(
            await tx.fetchval("SELECT r.id FROM ratings r JOIN matches m ON m.id = r.match_id WHERE need_id = $1", need)
        )


async def _strangers(tx: Transaction) -> None:
    """An enterprise in Guangzhou, far from everybody's own."""
    firm = await enterprises.insert(
        tx,
        name="广州丙公司",
        uscc=None,
        kind="individual",
        region_code="440106",
        contact_name="陌生人",
        contact_phone="020-0000000",
    )
    await accounts.insert(
        tx,
        login="stranger",
        password_hash="",
        name="陌生人",
        role="enterprise",
        enterprise_id=firm,
        institution_id=None,
        node_id=None,
    )


async def _revision(tx: Transaction, actor: Any, name: str, item_list: str) -> int:
    code = None if actor.institution_id else f"GD-2030-{name}"
    form = NewRevision(item_code=code, name=f"事项{name}", item_group="专利", item_list=ItemList(item_list))
    return await lists.draft(tx, actor, form)


async def _in_review(tx: Transaction, revision: int) -> None:
    await tx.execute(
        "INSERT INTO item_events (revision_id, from_state, action, to_state) "
        "VALUES ($1, 'draft', 'submit', 'in_review')",
        revision,
    )
    await tx.execute("UPDATE item_revisions SET state = 'in_review' WHERE id = $1", revision)


async def _proposed(db: Database, world: World) -> Need:
    """A need that waits for its coordinator."""
    async with db.transaction() as tx:
        form = Submission(
            body="产品被人仿冒，想申请维权援助",
            item_codes=("SZ-2024-27",),
            contact_name="只给节点",
            contact_phone="139-7777-7777",
        )
        need = await need_service.submit(tx, world.actors["enterprise"], form, await DeadlinesSource().get(tx))
        job = await ranking.read(tx, ranking.CatalogueSource(), need.id)
        assert job is not None
    async with db.transaction() as tx:
        assert await ranking.store(tx, job, ranking.compute(job, top=20, gap=0.0))
    return need


@pytest.fixture(scope="module")
async def objects(db: Database, settings: Settings) -> Objects:
    """One of each kind within reach of each role, and one beyond."""
    async with db.transaction() as tx:
        await _strangers(tx)
    async with db.reading() as tx:
        world = await World.read(tx)
    party = Party(name="窗口来人", region_code="440305", contact_name="来人", contact_phone="0755-00000009")
    needs = {
        "own": await serve(db, settings, world),
        "clerk": await serve(db, settings, world, party=party),
        "foreign": await serve(db, settings, world, enterprise="stranger", coordinator="province", login="provincial"),
    }
    open_need = await _proposed(db, world)
    filers = {"own": "enterprise", "clerk": "clerk", "foreign": "stranger"}
    rated = {name: await _rated(db, need, world.actors[filers[name]]) for name, need in needs.items()}
    async with db.transaction() as tx:
        match = {
            name: await tx.fetchval("SELECT id FROM matches WHERE need_id = $1 AND state = 'completed'", need)
            for name, need in needs.items()
        }
        far = {"need_id": needs["foreign"], "match_id": match["foreign"], "rating_id": rated["foreign"]}
        near = {"need_id": needs["own"], "match_id": match["own"], "rating_id": rated["own"]}
        actors = world.actors
        drafts = {
            name: await _revision(tx, actors[name], str(number), "authority" if name == "admin" else "specific")
            for number, name in enumerate(("institution", "office", "provincial", "admin"))
        }
        asked = await _revision(tx, actors["office"], "9", "specific")
        for revision in (asked, drafts["provincial"]):
            await _in_review(tx, revision)
        offering = world.offerings["专利申请辅导"], world.offerings["专利申请受理与材料预检"]
        notice = NoticeForm(kind="news", title="一则公告", body="正文。")  # type: ignore[arg-type]
        notice_ids = [await notices.publish(tx, actors[name], notice) for name in ("coordinator", "province")]
        plan_ids = [(await plans.make(tx, actors[name])).id for name in ("coordinator", "province")]
        candidate = "SELECT offering_id FROM matches WHERE need_id = $1 AND state = 'proposed'"
        pair = await tx.fetchval(candidate, open_need.id)
        rule = RuleForm(need_id=open_need.id, offering_id=pair, kind=RuleKind.PIN)
        await plans.set_rule(tx, actors["coordinator"], rule)
        days = await DeadlinesSource().get(tx)
        behind = {name: actors[name].institution_id for name in ("institution", "provincial")}
        supervised = {
            name: await supervision.give_notice(
                tx, actors[by], Notice(institution_id=behind[name], note="请说明"), days
            )
            for name, by in (("institution", "coordinator"), ("provincial", "province"))
        }
        colleague = await accounts.insert(
            tx,
            login="colleague",
            password_hash="",
            name="同事",
            role=Role.ENTERPRISE,
            enterprise_id=actors["enterprise"].enterprise_id,
            institution_id=None,
            node_id=None,
        )
        kept = [
            await tx.fetchval(
                "INSERT INTO saved_filters (account_id, name, query) VALUES ($1, 'mine', '') RETURNING id",
                actors[who].id,
            )
            for who in ("coordinator", "province")
        ]
        token, message = {}, {}
        for name in (*LOGINS.values(), "rival"):
            message[name] = await tx.fetchval(MESSAGE, name)
            await create_token(tx, name, "one", 5)
            token[name] = await tx.fetchval("SELECT max(id) FROM api_tokens")
    shared = {"session_id": "0" * 16, "version": "none", "step": "promote"}
    tokens = {role: {"token_id": token[role], "message_id": message[role]} | shared for role in LOGINS}
    led, far_led = (
        {"institution_id": behind[name], "supervision_id": supervised[name].id}
        for name in ("institution", "provincial")
    )
    clerks = {"need_id": needs["clerk"], "match_id": match["clerk"], "rating_id": rated["clerk"]}
    own = {
        "enterprise": near | {"account_id": colleague},
        "institution": near
        | {"revision_id": drafts["institution"], "offering_id": offering[0]}
        | led
        | {"supervising": "plan"},
        "coordinator": near
        | led
        | {"supervising": "check"}
        | {"revision_id": asked, "notice_id": notice_ids[0], "plan_id": plan_ids[0], "region_code": "440305"}
        | {"pair": (open_need.id, pair), "action": "send_back", "filter_id": kept[0]},
        "clerk": clerks,
        "admin": near | led | {"revision_id": drafts["admin"], "code": PATENT, "region_code": "450000"},
    }
    foreign = {
        "enterprise": far | {"account_id": actors["rival"].id},
        "institution": far | {"revision_id": drafts["office"], "offering_id": offering[1], "code": PATENT} | far_led,
        "coordinator": far
        | far_led
        | {"filter_id": kept[1]}
        | {"revision_id": drafts["provincial"], "notice_id": notice_ids[1], "plan_id": plan_ids[1]}
        | {"region_code": "450000"},
        "clerk": far,
        "admin": {"revision_id": asked},
    }
    return Objects(
        {role: own[role] | tokens[role] for role in LOGINS},
        {
            role: foreign[role]
            | {"token_id": token["rival"], "message_id": message["rival"], "session_id": "f" * 16}
            | {"step": "promote"}
            for role in LOGINS
        },
    )


@pytest.fixture(scope="module")
async def forgetful(app: Litestar) -> AsyncIterator[None]:
    """Requests do what they do, and then it is undone: every call finds the same world. Streams find no room:
    they would not end."""
    held = app.state.services.db
    real = type(held).transaction

    @asynccontextmanager
    async def undone() -> AsyncIterator[Transaction]:
        undo = RuntimeError("undone")
        try:
            async with real(held) as tx:
                yield tx
                raise undo
        except RuntimeError as error:
            if error is not undo:
                raise

    held.transaction = undone
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, "MOST_OF_ONE", 0)
        yield
    del held.transaction


def filled(row: Row, values: Mapping[str, Any]) -> str:
    public = {
        "need_id": 1,
        "institution_id": 1,
        "code": PATENT,
        "what": "lists",
        "path": "none",
        "file_path": "none",
        "file": "needs-by-month.csv",
        "notice_id": 1,
        "offering_id": 1,
        "form": "csv",
        "channel": "mail",
    }
    step = {"action": values.get("supervising", "check")}  # in a path; in forms it is a revision's
    path = re.sub(r"\{(\w+)\}", lambda m: str({**public, **values, **step}[m[1]]), row.path)
    return f"{path}?institution_id={values.get('institution_id', 1)}" if path == "/supervision/new" else path


# bodies out of the description -------------------------------------------------------------------------------------


def example(schema: Mapping[str, Any], known: Mapping[str, Any], parts: Mapping[str, Any]) -> Any:
    """Something that the schema allows, with only what it requires."""
    if "$ref" in schema:
        return example(parts[schema["$ref"].rsplit("/", 1)[1]], known, parts)
    for choice in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        if choice.get("type") != "null":
            return example(choice, known, parts)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    kind = next(one for one in kind if one != "null") if isinstance(kind, list) else kind
    if kind == "object":
        wanted = schema.get("required", ())
        return {
            name: known.get(name, example(part, known, parts))
            for name, part in schema.get("properties", {}).items()
            if name in wanted
        }
    if kind == "array":
        return [example(schema["items"], known, parts)] * schema.get("minItems", 0)
    if kind == "string":
        return (
            "2030-01-02" if schema.get("format") == "date" else "事项说明文字" * (1 + schema.get("minLength", 1) // 6)
        )
    return {"integer": schema.get("minimum", 1), "number": 1, "boolean": True}.get(str(kind))


def body_of(app: Litestar, row: Row, values: Mapping[str, Any]) -> Any:
    described = app.openapi_schema.to_schema()
    operation = described["paths"][row.path][row.method.lower()]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    known = {
        **{name: value for name, value in values.items() if name in ("offering_id", "need_id", "institution_id")},
        "needs": [values.get("need_id", 1)], "to_account": 1, "region_codes": ["440300"], "item_list": "specific",
        "item_code": PATENT, "edit": 1, "action": values.get("action", "take_back"), "version": 1, "level": 5,
        "state": "paused", "name": "accept",
    }  # fmt: skip
    if row.path.endswith("/item-revisions/{revision_id}"):
        known["name"] = "事项名称"
    if "/supervision/" in row.path:
        known["name"] = "acceptance"
    return example(content["schema"], known, described["components"]["schemas"])


async def call(app: Litestar, client: httpx.AsyncClient, row: Row, values: Mapping[str, Any]) -> httpx.Response:
    path = filled(row, values)
    if row.path.startswith(API):
        headers = {"Idempotency-Key": f"{row.path} {values}"[:255]} if row.method == "POST" else {}
        headers = {name: re.sub("[^!-~]", "-", value) for name, value in headers.items()} | {"If-Match": "*"}
        return await client.request(
            row.method,
            path.removeprefix("/api/v1"),
            json=body_of(app, row, values),
            headers=headers,
            params=ASKED if "/ledger" in path else None,
        )
    if row.method == "GET":
        return await client.get(path)
    if "zhipei_csrf" not in client.cookies:
        await client.get("/login")
    form = FORM | {"_csrf_token": client.cookies["zhipei_csrf"]}
    form |= {name: str(values[name]) for name in IN_FORMS if name in values}
    if row.path.startswith("/desk/"):
        form["item_code"] = PATENT
    form["region"] = str(values.get("region_code", ""))
    return await client.post(path, data=form)


# the tests -----------------------------------------------------------------------------------------------------------


def the_app() -> Litestar:
    return create_app(load({}, database_url="postgresql:///none", redis_url="redis://localhost"), csrf_secret="x" * 32)


def test_the_document_is_the_table() -> None:
    assert PATH.read_text() == document(the_app()), "run: make permissions"


def test_a_route_that_nobody_has_declared_is_refused() -> None:
    app = the_app()

    @get("/forgotten")
    async def forgotten() -> str:
        return "secret"

    app.register(forgotten)
    with pytest.raises(UndeclaredError, match="GET /forgotten has no guard"):
        rows(app)


async def test_and_closed_when_it_is_called(settings: Settings) -> None:
    app = create_app(settings, csrf_secret="test" * 8)

    @get("/api/v1/forgotten")
    async def forgotten() -> str:
        return "secret"

    app.register(forgotten)
    async with app.lifespan():
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            answer = await client.get("/api/v1/forgotten")
    assert answer.status_code == 403
    assert "secret" not in answer.text


def test_every_route_of_the_description_is_in_the_table() -> None:
    app = the_app()
    described = app.openapi_schema.to_schema()["paths"]
    told = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    assert told == {f"{row.method} {row.path}" for row in rows(app) if row.path.startswith(API)}


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("who", WHO)
async def test_every_cell(app: Litestar, api: Api, login: Login, objects: Objects, who: str) -> None:
    """All that is wrong is told at once, a line a cell."""
    wrong: list[str] = []
    browser = await login(LOGINS[who]) if who != VISITOR else _nobody(app)
    client = api("" if who == VISITOR else LOGINS[who])
    for row in rows(app):
        if row.method == "POST" and row.path in (
            "/logout",
            "/language",
            "/login",
            "/register",
            "/account/sessions/end",
        ):
            continue  # they change who the browser is; tests/web/test_login* and test_languages have that
        one = client if row.path.startswith(API) else browser
        tries = _tries(row, who, objects)
        for words, values, fits in tries:
            answer = await call(app, one, row, values)
            if not fits(answer):
                told = answer.text[:150] if row.path.startswith(API) else ""
                wrong.append(f"{row.method} {row.path} {words}: {answer.status_code} {told}")
    if who == VISITOR:
        await browser.aclose()
    assert not wrong, "\n" + "\n".join(wrong)


def _tries(row: Row, who: str, objects: Objects) -> list[tuple[str, Mapping[str, Any], Any]]:
    own = objects.own.get(who, objects.own["enterprise"] | objects.own["coordinator"] | objects.own["admin"])
    first = next(iter(row.parameters), "")
    roles = ("enterprise", "coordinator", "institution", "admin")
    everything = {name: one for role in roles for name, one in objects.own[role].items()} | own
    if who not in row.reach or (row.top_only and who == "coordinator"):
        return [("is refused", everything, lambda a: _refused(a, row, who))]
    reach = row.reach[who]
    if reach is None or who == VISITOR or f"{row.method} {row.path}" in PUBLIC_ROUTES:
        return [("passes", everything, lambda a: _passes(a, row))]
    tries: list[tuple[str, Mapping[str, Any], Any]] = []
    if "/plans/rules/" in row.path:
        need_id, offering_id = objects.own["coordinator"]["pair"]
        own = {**own, "need_id": need_id, "offering_id": offering_id}
        everything["offering_id"] = offering_id
    if first in own:
        tries.append(
            ("own", {**everything, **own}, lambda a: _passes(a, row, absent=first in ("version", "session_id")))
        )
    if reach is not Reach.ALL and first in objects.foreign[who]:
        values = {**everything, **objects.foreign[who]}
        tries.append(("of others", values, lambda a: a.status_code in _beyond(first)))
    assert tries, f"no object to try {row.path} with, as {who}"
    return tries


def _beyond(parameter: str) -> tuple[int, ...]:
    """How what is out of reach is answered. A session or filter that is not one's own is as good as gone already."""
    return {"region_code": (403,), "session_id": (303,), "filter_id": (303,), "revision_id": (404, 403)}.get(
        parameter, (404,)
    )


def _refused(answer: httpx.Response, row: Row, who: str) -> bool:
    if who != VISITOR:
        return answer.status_code == 403
    if row.path.startswith(API):
        return answer.status_code == 401
    return answer.status_code == 303 and answer.headers["location"].startswith("/login")


def _passes(answer: httpx.Response, row: Row, *, absent: bool = False) -> bool:
    if row.path.startswith("/live/"):
        return answer.status_code == 503  # no room: see forgetful
    if answer.status_code >= 500 or answer.status_code in (401, 403):
        return False
    return answer.status_code != 404 or absent or row.path in NOT_HERE


def _nobody(app: Litestar) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://test")


PUBLIC_ROUTES = frozenset(f"{row.method} {row.path}" for row in rows(the_app()) if VISITOR in row.reach)


async def test_a_token_does_what_its_scopes_say(
    app: Litestar, api: Api, db: Database, world: World, objects: Objects
) -> None:
    async with db.transaction() as tx:
        given = {
            scopes: await create_token(tx, "coordinator", "t", 5, scopes)
            for scopes in (("read",), ("needs:read",), ("needs:write", "rules:read"), ("write",))
        }
    need = objects.own["coordinator"]["need_id"]
    calls = {
        "read a need": ("GET", f"/needs/{need}", None),
        "act on a need": ("POST", f"/needs/{need}/take", None),
        "read rules": ("GET", "/rules", None),
        "set a rule": ("PUT", "/rules/440305", {"name": "accept", "working_days": 2}),
        "read who I am": ("GET", "/me", None),
    }
    allowed = {
        ("read",): {"read a need", "read rules", "read who I am"},
        ("needs:read",): {"read a need"},
        ("needs:write", "rules:read"): {"read a need", "act on a need", "read rules"},
        ("write",): set(calls),
    }
    for scopes, token in given.items():
        client = api("")
        client.headers["Authorization"] = f"Bearer {token}"
        for name, (method, path, body) in calls.items():
            answer = await client.request(method, path, json=body)
            assert (answer.status_code != 403) == (name in allowed[scopes]), (scopes, name, answer.text)
    with pytest.raises(InvalidInput):
        async with db.transaction() as tx:
            await create_token(tx, "coordinator", "t", 5, ("everything",))


async def test_fields_stay_with_those_they_are_for(api: Api, db: Database, world: World, settings: Settings) -> None:
    """A need as proposed: the institution learns no contact, the enterprise no offering."""
    need = await _proposed(db, world)
    ranked = (await api("coordinator").get(f"/needs/{need.id}/ranking")).json()
    assert ranked["match"]["state"] == "proposed"
    proposed = [one["institution_name"] for one in ranked["candidates"]]
    assert proposed
    for path in (
        f"/needs/{need.id}",
        f"/needs/{need.id}/events",
        f"/needs/{need.id}/deadlines",
        "/needs?state=proposed",
    ):
        told = (await api("enterprise").get(path)).text
        assert not any(name in told for name in proposed), path
        assert "score" not in told, path
    for who in ("institution", "office", "provincial"):
        for path in ("/needs", "/matches", "/ratings", "/standing"):
            told = (await api(who).get(path)).text
            assert "139-7777-7777" not in told, (who, path)
            assert "只给节点" not in told, (who, path)
            assert f'"need_id":{need.id}' not in told, (who, path)
    for who in ("rival", "clerk", "institution"):
        assert (await api(who).get(f"/needs/{need.id}")).status_code == 404, who
    listed = (await api("coordinator").get("/needs")).text
    assert "139-7777-7777" not in listed, "lists have no contact data, whoever reads them"
