"""Submitting a need: the whole application against PostgreSQL alone, and against FastAPI with SQLAlchemy's ORM."""

import asyncio
import itertools
import json
import uuid
from collections.abc import Iterator

from bench.load import drive, request
from bench.pgbench import fill, pgbench
from bench.report import Finding, Part, Race
from bench.stage import TOKEN_PREFIX, Effort, Stage, give_tokens, open_database, token
from infra.idempotency import CLAIM
from infra.settings import Settings
from market.accounts.model import Role
from market.accounts.queries import ACTOR_BY_TOKEN
from market.demo import people
from market.demo.cast import login_of
from market.needs.queries import SUBMIT

LOADS = (32, 4)
BODY = (
    "我们做便携式储能电源，新一代产品十月要在德国参展，想知道外观和电路分别能不能申请专利，来得及吗，费用有没有减免。"
)
ITEM = "SZ-2024-01"
CLOCKS = """(
    SELECT jsonb_agg(jsonb_build_object('kind', kind, 'days', 3, 'provisional', false, 'stamp', 1,
        'remind_at', now() + interval '2 days', 'due_at', now() + interval '3 days',
        'node_at', now() + interval '4 days', 'above_at', now() + interval '5 days'))
    FROM (VALUES ('first_contact'), ('match')) k (kind))"""
ANSWER_BYTES = 900
"""Of the answer that an idempotency key keeps."""
ZHIPEI, PEER, ALONE = "Zhipei", "FastAPI + SQLAlchemy", "pgbench, same statements"
STATEMENT = "pgbench, one statement"


async def measure(stage: Stage, effort: Effort) -> Part:
    """32 clients, and 4; each round all contenders in turn. No worker runs: what it would do is in shortlist.py."""
    async with stage.database("bench_submission") as settings:
        await give_tokens(settings, [login_of(Role.ENTERPRISE, n % people.ENTERPRISES) for n in range(max(LOADS))])
        async with stage.web(settings) as web, stage.peer(settings) as peer:
            races = {clients: Race(f"{clients} clients") for clients in LOADS}
            for clients in itertools.chain.from_iterable([LOADS] * effort.rounds):
                await _round(stage, settings, effort, races[clients], clients, {ZHIPEI: web, PEER: peer})
    return Part("submit a need", [one for race in races.values() for one in race.measures()], _findings(races))


def _findings(races: dict[int, Race]) -> list[Finding]:
    many, few = races[LOADS[0]], races[LOADS[1]]
    return [
        Finding("submit: Zhipei to pgbench's one statement, 32 clients", many.ratio(ZHIPEI, STATEMENT), "×", 0.2),
        Finding("submit: Zhipei to pgbench's same statements, 32 clients", many.ratio(ZHIPEI, ALONE), "×"),
        Finding("submit: Zhipei to FastAPI + SQLAlchemy, 32 clients", many.ratio(ZHIPEI, PEER), "×", 4),
        Finding("submit: Zhipei to FastAPI + SQLAlchemy, 4 clients", few.ratio(ZHIPEI, PEER), "×", 4),
        Finding("submit: Zhipei's p99, 4 clients", few.p99(ZHIPEI), "ms", 10),
    ]


async def _round(
    stage: Stage, settings: Settings, effort: Effort, race: Race, clients: int, servers: dict[str, int]
) -> None:
    for what, port in servers.items():
        await _sweep(settings)
        senders = [submissions(token(number)) for number in range(clients)]
        run = await asyncio.to_thread(drive, port, senders, status=201, seconds=effort.seconds, warm=effort.warm)
        race.add(what, run)
    for what, script in ((ALONE, same_statements()), (STATEMENT, one_statement())):
        await _sweep(settings)
        race.add(what, await pgbench(settings, stage.folder, script, clients=clients, seconds=effort.seconds))


async def _sweep(settings: Settings) -> None:
    """Every run finds an empty outbox, no keys, and the write-ahead log of the run before written out."""
    database = open_database(settings)
    async with database.reading() as connection:
        await connection.execute("TRUNCATE outbox, idempotency_keys")
        await connection.execute("CHECKPOINT")
    await database.close()


def submissions(bearer: str, body: str = BODY, items: tuple[str, ...] = (ITEM,)) -> Iterator[bytes]:
    """Requests that submit a need, each under a key of its own."""
    prefix, content = uuid.uuid4().hex, json.dumps({"body": body, "item_codes": items}, ensure_ascii=False).encode()
    for number in itertools.count():
        headers = {"Authorization": f"Bearer {bearer}", "Idempotency_Key": f"{prefix}-{number}"}
        yield request("POST", "/api/v1/needs", body=content, **headers)


def same_statements() -> str:
    """What the application sends for a submission, one by one: authenticate, begin, submit, keep the answer, commit."""
    known = {"account": ":actor_id::bigint", "enterprise": ":actor_enterprise_id::bigint"}
    look_up = fill(ACTOR_BY_TOKEN, {1: _token_hash()}).removesuffix(";")
    return "\n".join((f"{look_up} \\gset actor_", "BEGIN;", _submit(**known), _claim(known["account"]), "COMMIT;"))


def one_statement() -> str:
    """All of it as one statement: the most that PostgreSQL could do for us."""
    account, enterprise = "(SELECT id FROM actor)", "(SELECT enterprise_id FROM actor)"
    actor = fill(ACTOR_BY_TOKEN, {1: _token_hash()}).removesuffix(";")
    claimed = _claim(account).removesuffix(";")
    submit = _submit(account, enterprise).removeprefix("WITH ")
    return f"WITH actor AS ({actor}), claimed AS ({claimed}), {submit}"


def _token_hash() -> str:
    return f"sha256(convert_to('{TOKEN_PREFIX}' || :client_id::text, 'UTF8'))"


def _submit(account: str, enterprise: str) -> str:
    values = (enterprise, account, f"'{BODY}'", "NULL", f"ARRAY['{ITEM}']", "NULL", "NULL", "NULL", "'online'")
    rest = ("(now() + interval '3 days')", "false", "'0123456789abcdef0123456789abcdef'", CLOCKS)
    return fill(SUBMIT, dict(enumerate((*values, *rest), start=1)))


def _claim(account: str) -> str:
    answer = f"convert_to(repeat('x', {ANSWER_BYTES}), 'UTF8')"
    values = (account, "gen_random_uuid()::text", "sha256(convert_to(:client_id::text, 'UTF8'))", "201", answer)
    return fill(CLAIM, dict(enumerate(values, start=1)))
