"""The small world that every test database starts with, and what tests add to it."""

import hashlib
from datetime import UTC, datetime, timedelta
from random import Random

from argon2 import PasswordHasher
from msgspec import Struct

from infra.db import Database, Transaction
from infra.settings import Settings
from market.accounts import queries as accounts
from market.accounts.model import Actor, Role
from market.accounts.service import hash_token
from market.calendars.service import DeadlinesSource
from market.enterprises import queries as enterprises
from market.enterprises.model import Party
from market.enterprises.uscc import generate
from market.institutions import service as institutions
from market.institutions.model import InstitutionForm
from market.matches import queries as match_queries
from market.matches import ranking
from market.matches import service as matches
from market.needs import service as needs
from market.needs.model import Submission
from market.offerings import service as offerings
from market.offerings.model import OfferingForm, OfferingState
from market.regions import queries as regions

PASSWORD = "correct-horse-battery"
PATENT, TRADEMARK, AID, CONSULTING = "SZ-2024-01", "SZ-2024-11", "SZ-2024-27", "SZ-2024-30"

OFFERINGS = (
    # institution, item, title, regions, capacity, promised days
    ("office", PATENT, "专利申请受理与材料预检", ("440300",), 5, 3),
    ("office", TRADEMARK, "商标注册申请受理", ("440300",), 5, None),
    ("center", PATENT, "专利申请辅导", ("440305",), 3, 5),
    ("center", AID, "专利侵权维权援助", ("440300",), 5, 3),
    ("center", CONSULTING, "知识产权法律政策咨询", ("440300",), 50, 1),
    ("province", AID, "全省海外与本地维权援助", ("440000",), 20, 10),
    ("province", PATENT, "全省专利申请绿色通道", ("440000",), 20, 10),
)


async def make_world(tx: Transaction) -> None:
    """Two nodes, three institutions with offerings, two enterprises, an account and a token for each login below."""
    guangdong = await regions.upsert_node(tx, "广东省骨干节点", "440000", None)
    shenzhen = await regions.upsert_node(tx, "深圳市骨干节点", "440300", guangdong)
    rng = Random(1)
    ids = {
        name: await institutions.save(
            tx,
            InstitutionForm(
                uscc=generate(rng, department="1", kind="2", region=region),
                name=title,
                kind=kind,
                region_code=region,
                address="测试路 1 号",
                phone="0755-00000000",
                summary="供测试使用的机构。",
            ),
        )
        for name, title, kind, region in (
            ("office", "深圳专利代办处（测试）", "patent_agency_office", "440304"),
            ("center", "南山知识产权保护中心（测试）", "protection_center", "440305"),
            ("province", "广东省知识产权保护中心（测试）", "protection_center", "440106"),
        )
    }
    for institution, item, title, codes, capacity, days in OFFERINGS:
        form = OfferingForm(
            item_code=item,
            title=title,
            summary=f"{title}，面向辖区内企业和个人。",
            region_codes=codes,
            channels=("线上", "窗口"),
            fee="免费",
            promised_days=days,
            capacity=capacity,
        )
        await offerings.add(tx, ids[institution], form, OfferingState.PUBLISHED)
    firms = {}
    for name, title, home in (
        ("enterprise", "深圳甲科技有限公司", "440305"),
        ("rival", "深圳乙制造有限公司", "440306"),
    ):
        firms[name] = await enterprises.insert(
            tx,
            name=title,
            uscc=generate(rng, department="9", kind="1", region=home),
            kind="hnte",
            region_code=home,
            contact_name="王敏",
            contact_phone="0755-00000001",
        )
    hashed = PasswordHasher(time_cost=1, memory_cost=1024).hash(PASSWORD)
    for login, role, node, enterprise, served in (
        ("enterprise", Role.ENTERPRISE, None, firms["enterprise"], None),
        ("rival", Role.ENTERPRISE, None, firms["rival"], None),
        ("institution", Role.INSTITUTION, None, None, ids["center"]),
        ("office", Role.INSTITUTION, None, None, ids["office"]),
        ("provincial", Role.INSTITUTION, None, None, ids["province"]),
        ("coordinator", Role.COORDINATOR, shenzhen, None, None),
        ("coordinator2", Role.COORDINATOR, shenzhen, None, None),
        ("province", Role.COORDINATOR, guangdong, None, None),
        ("clerk", Role.CLERK, shenzhen, None, None),
        ("admin", Role.ADMIN, None, None, None),
        ("admin2", Role.ADMIN, None, None, None),
    ):
        account_id = await accounts.insert(
            tx,
            login=login,
            password_hash=hashed,
            name=f"{login} 的姓名",
            role=role,
            enterprise_id=enterprise,
            institution_id=served,
            node_id=node,
        )
        assert account_id is not None
        expires = datetime.now(UTC) + timedelta(days=1)
        await accounts.insert_token(tx, account_id, "test", hash_token(_token(login)), expires)


class World(Struct, frozen=True):
    """Who is there: actors by login, offerings by title."""

    actors: dict[str, Actor]
    offerings: dict[str, int]

    @classmethod
    async def read(cls, tx: Transaction) -> "World":
        """The world of a database made by ``make_world``."""
        logins = await tx.fetch("SELECT login FROM accounts")
        actors = {}
        for row in logins:
            actor = await accounts.actor_by_login(tx, row["login"])
            assert actor is not None
            actors[actor.login] = actor
        titles = await tx.fetch("SELECT offering_id, title FROM offering_versions WHERE version = 1")
        return cls(actors, {row["title"]: row["offering_id"] for row in titles})

    def token(self, login: str) -> str:
        """The API token of an account."""
        assert login in self.actors
        return _token(login)


def _token(login: str) -> str:
    return "zp_test_" + hashlib.sha256(login.encode()).hexdigest()


async def serve(
    db: Database,
    settings: Settings,
    world: World,
    *,
    party: Party | None = None,
    confirmed: bool = True,
    item: str = AID,
    login: str = "institution",
    enterprise: str = "enterprise",
    coordinator: str = "coordinator",
) -> int:
    """A need served by the institution of that login and confirmed, by the use cases; for ``party`` at the counter."""
    deadlines = DeadlinesSource()
    filer, node, server = (world.actors[name] for name in ("clerk" if party else enterprise, coordinator, login))
    async with db.transaction() as tx:
        submission = Submission(body="产品被人仿冒，想申请维权援助", item_codes=(item,), party=party)
        need = await needs.submit(tx, filer, submission, await deadlines.get(tx))
        job = await ranking.read(tx, ranking.CatalogueSource(), need.id)
        assert job is not None
    outcome = ranking.compute(job, top=20, gap=0.0)
    async with db.transaction() as tx:
        assert await ranking.store(tx, job, outcome)
        due = await deadlines.get(tx)
        match = await match_queries.latest(tx, need.id)
        assert match is not None
        if match.institution_id == server.institution_id:
            await matches.approve(tx, node, need.id, match.id, due)
        else:
            of_item = "SELECT id FROM offerings WHERE item_code = $1 AND institution_id = $2"
            other = await tx.fetchval(of_item, item, server.institution_id)
            await matches.override(tx, node, need.id, other, "就近", due)
        match = await match_queries.latest(tx, need.id)
        assert match is not None
        await matches.accept(tx, server, match.id, due)
        await matches.deliver(tx, server, match.id, "已出具意见书", due)
        if confirmed:
            await matches.confirm(tx, filer, need.id)
    return need.id


async def holding(tx: Transaction, text: str) -> list[str]:
    """Tables in which the text stands, as it is or as bytes."""
    tables = await tx.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    found = "SELECT count(*) FROM {0} t WHERE to_jsonb(t)::text LIKE ANY($1::text[])"
    wanted = [f"%{text}%", f"%{text.encode().hex()}%"]
    return [row[0] for row in tables if await tx.fetchval(found.format(row[0]), wanted)]
