"""Every page of the site, from the route table: where it is, with something to show, and for whom."""

from pathlib import Path

from litestar import Litestar

from infra.db import Database
from infra.settings import Settings
from market.accounts import queries as accounts
from market.demo import service as demo
from market.importing.service import load_facts
from market.notices import service as notices
from market.notices.model import NoticeForm, NoticeKind
from market.plans import planning, solving
from market.plans import service as plans
from tests.conftest import Clone, open_database

ROLES = ("", "enterprise", "institution", "coordinator", "province", "clerk", "admin")
"""Logins of the demo; "" is a visitor."""
WORLD = "TRUNCATE accounts, enterprises, institutions, nodes, offerings, fact_editions RESTART IDENTITY CASCADE"
NO_PAGES = ("/api", "/live", "/static", "/healthz", "/readyz", "/metrics")
NEEDS = """
SELECT id FROM (SELECT DISTINCT ON (state) id FROM needs ORDER BY state, id DESC) AS any_of
UNION SELECT id FROM (
    SELECT DISTINCT ON (n.state) n.id FROM needs n JOIN accounts a ON a.enterprise_id = n.enterprise_id
    WHERE a.login = 'enterprise' ORDER BY n.state, n.id DESC) AS own
UNION SELECT id FROM (SELECT id FROM needs WHERE channel = 'counter' ORDER BY id DESC LIMIT 1) AS filed
"""
EXAMPLES = {
    "code": "SELECT code FROM service_items ORDER BY code LIMIT 2",
    "need_id": NEEDS,
    "offering_id": """
SELECT id FROM (SELECT DISTINCT ON (state) id FROM offerings ORDER BY state, id) AS any_of
UNION SELECT id FROM (SELECT o.id FROM offerings o JOIN accounts a ON a.institution_id = o.institution_id
                      WHERE a.login = 'institution' ORDER BY o.id LIMIT 1) AS own
""",
    "institution_id": """
SELECT institution_id FROM accounts WHERE login = 'institution' UNION (SELECT id FROM institutions ORDER BY id LIMIT 1)
""",
    "revision_id": "SELECT DISTINCT ON (state) id FROM item_revisions ORDER BY state, id",
    "notice_id": "SELECT DISTINCT ON (state) id FROM notices ORDER BY state, id",
    "message_id": """
SELECT max(m.id) FROM messages m JOIN accounts a ON a.id = m.account_id
WHERE a.login IN ('enterprise', 'institution', 'coordinator') GROUP BY a.login
""",
    "supervision_id": "SELECT DISTINCT ON (state) id FROM supervisions ORDER BY state, id DESC",
    "plan_id": "SELECT id FROM plans ORDER BY id DESC LIMIT 1",
    "rating_id": """
SELECT id FROM (SELECT DISTINCT ON (r.state, x.state) r.id FROM ratings r LEFT JOIN rectifications x
                ON x.rating_id = r.id ORDER BY r.state, x.state, r.id DESC) AS any_of
""",
}
"""What stands for a parameter of a path: something of every state, and something of whoever logs in."""
QUERIES = {
    "/": ("?text=%E5%95%86%E6%A0%87%E7%BB%AD%E5%B1%95&item=SZ-2024-11",),
    "/search": ("?q=%E5%95%86%E6%A0%87", "?q=zzzzqqqq"),
    "/offerings": ("?q=%E5%95%86%E6%A0%87", "?q=zzzzqqqq", "?stage=creation"),
    "/desk/offerings/new": ("?item=SZ-2024-11",),
    "/lists/withdraw": ("?item=SZ-2024-11",),
    "/supervision/new": ("?institution_id=1",),
    "/queue/several": ("?needs=1&needs=2",),
    "/queue": ("?tab=serving", "?tab=ended"),
}
"""What a page shows only when it is asked for."""


async def demo_database(clone: Clone) -> Settings:
    """A database with the demo instead of the small world."""
    settings = await clone()
    owner, database = open_database(settings, owner=True), open_database(settings)
    async with owner.transaction() as tx:
        await tx.execute(WORLD)
    await owner.close()
    async with database.transaction() as tx:
        await load_facts(tx)
    await demo.load(database, settings, questions=Path("nowhere"))
    async with database.transaction() as tx:
        coordinator = await accounts.actor_by_login(tx, "coordinator")
        assert coordinator is not None
        words = NoticeForm(kind=NoticeKind.EVENT, title="专利检索培训", body="周三下午，线上。\n\n欢迎报名。")
        await notices.publish(tx, coordinator, words)
        plan = await plans.make(tx, coordinator)
    job = await planning.gather(database, plan.id)
    assert job is not None
    solved = solving.compute(job)
    async with database.transaction() as tx:
        assert await planning.store(tx, job, solved)
    await database.close()
    return settings


def pages(app: Litestar) -> list[str]:
    """The paths of all pages, with their parameters."""
    found = {route.path_format for route in app.routes if "GET" in getattr(route, "methods", ())}
    files = {path for path in found if "/files/" in path or path.endswith("{file}") or "." in path.rsplit("/", 1)[1]}
    return sorted(path for path in found - files if not path.startswith(NO_PAGES))


async def addresses(db: Database, path: str) -> list[str]:
    """Where to find the page of that path, each with something to show. A new parameter belongs into EXAMPLES."""
    name = path[path.index("{") + 1 : path.index("}")] if "{" in path else None
    if name is None:
        return [path, *(path + query for query in QUERIES.get(path, ()))]
    async with db.reading() as tx:
        return [path.replace(f"{{{name}}}", str(row[0])) for row in await tx.fetch(EXAMPLES[name])]
