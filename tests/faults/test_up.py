"""``zhipei up --demo``, what ``make demo`` runs: from nothing to a site, and again on the same data; other commands."""

from collections.abc import Iterator

import pytest

from tests.faults.site import Site, site_of

pytestmark = pytest.mark.faults


@pytest.fixture
def site() -> Iterator[Site]:
    with site_of(demo=True) as made:
        yield made


def test_from_nothing_to_a_site_and_again(site: Site) -> None:
    said = site.start()
    for login in ("enterprise", "institution", "coordinator", "clerk", "admin"):
        assert login in said
    assert "demo data loaded" in said
    assert "写" in site.get("/").text
    assert site.get("/readyz").json()["status"] == "ready"
    offerings = site.get("/api/v1/offerings?limit=100").json()["items"]
    assert len(offerings) == 100

    token = site.run("token", "create", "enterprise").stdout.strip()
    assert token.startswith("zp_")
    me = site.get("/api/v1/me", Authorization=f"Bearer {token}")
    assert me.json()["login"] == "enterprise"
    assert "没有登录名" in site.run("token", "create", "nobody-here").stderr
    wrong = site.run("account", "create", "x", "--name", "甲", "--role", "coordinator", "--password", "short")
    assert wrong.returncode == 1
    assert "Traceback" not in wrong.stderr
    assert "密码至少 10 个字符" in wrong.stderr
    right = ["account", "create", "new-one", "--name", "甲", "--role", "coordinator", "--node", "1"]
    assert site.run(*right, "--password", "long-enough-password").returncode == 0
    assert site.run("account", "password", "new-one", "--password", "another-long-one").returncode == 0
    assert "rows will be tried again" in site.run("outbox", "retry").stdout
    examined = site.run("doctor")
    assert examined.returncode == 0, examined.stdout
    assert "BAD" not in examined.stdout

    busy = site.run("up", ZHIPEI_DATA_DIR=str(site.output.with_suffix(".other")))
    assert busy.returncode == 1
    assert f"ZHIPEI_PORT={site.port + 1}" in busy.stderr
    second = site.run("up", ZHIPEI_PORT=str(site.port + 1))
    assert "already running" in second.stderr

    needs = site.get("/api/v1/needs", Authorization=f"Bearer {token}").json()["items"]
    site.stop()
    assert site.processes() == []
    assert "BAD  PostgreSQL" in site.run("doctor").stdout
    assert "demo data loaded" not in site.start()
    assert site.get("/api/v1/needs", Authorization=f"Bearer {token}").json()["items"] == needs
