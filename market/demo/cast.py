"""The people of the demo, stored: nodes, institutions, enterprises, and an account for each."""

import asyncio
from datetime import datetime
from random import Random

from argon2 import PasswordHasher
from msgspec import Struct, structs

from infra.db import Transaction
from market.accounts.model import Role
from market.data import load_regions
from market.demo import people, queries
from market.demo.people import CITY, MARK, PROVINCE
from market.demo.rows import Client, Node
from market.regions import queries as regions

PASSWORD = "zhipei-demo"  # noqa: S105 - printed for everyone who runs the demo


class Account(Struct, frozen=True, kw_only=True):
    """An account to be stored."""

    login: str
    name: str
    role: Role
    enterprise_id: int | None = None
    institution_id: int | None = None
    node_id: int | None = None


class Server(Struct, frozen=True, kw_only=True):
    """An institution with its id and its account."""

    id: int
    account_id: int
    who: people.Institution


class Cast(Struct, frozen=True, kw_only=True):
    """Everybody, with the ids they were stored under."""

    nodes: dict[str, Node]
    clerk_id: int
    clients: list[Client]
    servers: list[Server]


def login_of(role: Role, number: int) -> str:
    """``enterprise`` for the first, then ``enterprise2`` and so on."""
    return f"{role}{number + 1}" if number else str(role)


async def store(tx: Transaction, rng: Random, at: datetime) -> Cast:
    """Everybody, as of ``at``."""
    known = {region.code: region for region in load_regions()}
    province = await regions.upsert_node(tx, people.NODES[PROVINCE], PROVINCE, None)
    node_ids = {PROVINCE: province, CITY: await regions.upsert_node(tx, people.NODES[CITY], CITY, province)}
    institutions = people.institutions(rng, known)
    institution_ids = await queries.draw_ids(tx, "institutions", len(institutions))
    await queries.insert_institutions(tx, _with_ids(institutions, institution_ids), at)
    enterprises = [*people.enterprises(rng, known), *people.persons(known)]
    enterprise_ids = await queries.draw_ids(tx, "enterprises", len(enterprises))
    await queries.insert_enterprises(tx, _with_ids(enterprises, enterprise_ids), at)
    entries = [
        Account(login="admin", name=f"管理员{MARK}", role=Role.ADMIN),
        Account(login="admin2", name=f"管理员二{MARK}", role=Role.ADMIN),
    ]
    entries += [
        Account(login=one.login, name=one.name, role=one.role, node_id=node_ids[one.region_code])
        for one in people.STAFF
    ]
    entries += [
        Account(login=login_of(Role.INSTITUTION, n), name=one.name, role=Role.INSTITUTION, institution_id=one_id)
        for n, (one, one_id) in enumerate(zip(institutions, institution_ids, strict=True))
    ]
    entries += [
        Account(login=login_of(Role.ENTERPRISE, n), name=one.contact_name, role=Role.ENTERPRISE, enterprise_id=one_id)
        for n, (one, one_id) in enumerate(zip(enterprises, enterprise_ids, strict=True))
        if one.uscc is not None  # persons come to the counter
    ]
    account_ids = await _store_accounts(tx, entries, at)
    return Cast(
        nodes={region_code: _node(region_code, node_id, account_ids) for region_code, node_id in node_ids.items()},
        clerk_id=account_ids["clerk"],
        clients=[
            Client(id=one_id, account_id=account_ids.get(login_of(Role.ENTERPRISE, n)), who=one)
            for n, (one, one_id) in enumerate(zip(enterprises, enterprise_ids, strict=True))
        ],
        servers=[
            Server(id=one_id, account_id=account_ids[login_of(Role.INSTITUTION, n)], who=one)
            for n, (one, one_id) in enumerate(zip(institutions, institution_ids, strict=True))
        ],
    )


async def _store_accounts(tx: Transaction, entries: list[Account], at: datetime) -> dict[str, int]:
    """Ids by login. One hash serves all: hashing takes 50 ms by design."""
    ids = await queries.draw_ids(tx, "accounts", len(entries))
    password_hash = await asyncio.to_thread(PasswordHasher().hash, PASSWORD)
    await queries.insert_accounts(tx, _with_ids(entries, ids), password_hash, at)
    return {entry.login: account_id for entry, account_id in zip(entries, ids, strict=True)}


def _node(region_code: str, node_id: int, account_ids: dict[str, int]) -> Node:
    return Node(
        id=node_id,
        name=people.NODES[region_code],
        region_code=region_code,
        coordinators=tuple(
            account_ids[one.login]
            for one in people.STAFF
            if one.region_code == region_code and one.role is Role.COORDINATOR
        ),
    )


def _with_ids(
    rows: list[people.Institution] | list[people.Enterprise] | list[Account], ids: list[int]
) -> list[dict[str, object]]:
    return [structs.asdict(row) | {"id": row_id} for row, row_id in zip(rows, ids, strict=True)]
