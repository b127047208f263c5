"""Need × match × rating by the use cases on PostgreSQL, step by step against a plain model: hypothesis picks the steps.

Every step is tried in every state, by whoever; the model says whether it is allowed, and where everything stands then.
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as how
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from infra.db import Database
from infra.settings import Settings
from market.calendars.service import DeadlinesSource
from market.lists import taking_up
from market.matches import queries as match_queries
from market.matches import ranking
from market.matches import service as matches
from market.matches.model import OneTimeNotice
from market.needs import ownership
from market.needs import service as needs
from market.needs.model import Submission
from market.needs.ownership import Reply
from market.offerings import service as offerings
from market.offerings.model import OfferingForm, OfferingState
from market.ratings import rectification
from market.ratings import service as ratings
from market.ratings.model import Finding, RatingForm, Revisit, Ruling
from market.ratings.scale import RatingLevel
from tests.conftest import open_database
from tests.db.lifecycle import Ground
from tests.db.plain_model import COVERS, ENDED, Offered, Rated, Wish, eligible
from tests.factories import AID, World

pytestmark = pytest.mark.anyio

CAPACITY = 2
"""Of every offering: so few that they fill up within an example."""
OFFERINGS = """
SELECT o.id, a.login, t.item_code IS NOT NULL FROM offerings o JOIN accounts a ON a.institution_id = o.institution_id
LEFT JOIN take_ups t ON t.institution_id = o.institution_id AND t.item_code = o.item_code ORDER BY o.id
"""
REST = {"verifying": "verify", "rectifying": "rectify", "answering": "answer", "revisiting": "bad", "closing": "close"}
"""The steps of a rectification whose result is not liked."""

which = st.integers(0, 20)
"""Picks a need, or an offering, of those there are."""
coordinator = st.sampled_from(["coordinator", "coordinator", "coordinator2", "province"])
yes = st.booleans()


class Lifecycle(Ground):
    """The steps."""

    @initialize(steps=st.sampled_from(range(16)), ask=st.booleans())
    def begin(self, steps: int, ask: bool) -> None:
        self.days = self.run(DeadlinesSource().get(self.tx))
        self.source = ranking.CatalogueSource()
        for number, far in enumerate((steps, 2 * ask, 1)):
            self.submit()
            self.go_on(n=number, steps=far)
        if ask:
            self.serve(n=1, step="decline", own=True)

    @rule(n=which, steps=st.sampled_from(range(1, 6)))
    def go_on(self, n: int, steps: int) -> None:
        """The usual way, so that examples come to its end, and to what happens there."""
        for _ in range(steps):
            wish = self.pick(n)
            node = wish.owner or ("province" if wish.node == "guangdong" else "coordinator")
            usual: dict[str, Callable[[], None]] = {
                "submitted": lambda: self.rank(n=n),
                "proposed": lambda who=node: self.approve(n=n, who=who),
                "assigned": lambda: self.serve(n=n, step="accept", own=True),
                "serving": lambda: self.serve(n=n, step="deliver", own=True),
                "delivered": lambda: self.confirm_or_rework(n=n, content=True),
                "completed": lambda bad=steps % 3 > 0: self.rate(n=n, bad=bad),
            }
            if wish.rating is not None:
                rest = REST.get(wish.rating.rectification or "")
                usual["completed"] = lambda step=rest: self.rectify(n=n, step=step) if step else None
            usual.get(wish.state, lambda: None)()

    # the enterprise --------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.wishes) < 5)
    @rule()
    def submit(self) -> None:
        form = Submission(body="想申请发明专利", item_codes=(AID,))
        need = self.run(needs.submit(self.tx, self.who["enterprise"], form, self.days))
        self.wishes.append(Wish(need.id))

    @rule(n=which, mine=st.sampled_from([True, True, True, False]))
    def withdraw(self, n: int, mine: bool) -> None:
        wish = self.pick(n)
        who = self.who["enterprise" if mine else "rival"]
        if self.attempt(
            mine and wish.may("withdraw"),
            lambda: matches.withdraw(self.tx, who, wish.id, "不需要了"),
        ):
            wish.move("withdraw")
            wish.drop()

    @rule(n=which)
    def resubmit(self, n: int) -> None:
        wish = self.pick(n)
        form = Submission(body="补充：电池隔膜，想申请发明专利", item_codes=(AID,))
        if self.attempt(
            wish.may("resubmit"), lambda: needs.resubmit(self.tx, self.who["enterprise"], wish.id, form, self.days)
        ):
            wish.move("resubmit")

    @rule(n=which, content=yes)
    def confirm_or_rework(self, n: int, content: bool) -> None:
        wish, who = self.pick(n), self.who["enterprise"]
        step = "confirm" if content else "rework"

        async def act() -> None:
            if content:
                await matches.confirm(self.tx, who, wish.id)
            else:
                await matches.rework(self.tx, who, wish.id, "还缺一份", self.days)

        if self.attempt(wish.may(step), act):
            wish.move(step)
            wish.put("completed" if content else "accepted")

    # the worker ------------------------------------------------------------------------------------------------------

    @rule(n=which)
    def rank(self, n: int) -> None:
        wish = self.pick(n)

        async def act() -> bool:
            job = await ranking.read(self.tx, self.source, wish.id)
            return job is not None and await ranking.store(self.tx, job, ranking.compute(job, top=20, gap=0.0))

        assert self.run(act()) == (wish.state == "submitted")
        if wish.state != "submitted":
            return
        wish.candidates = eligible(wish, list(self.offerings.values()))
        run = self.run(match_queries.latest_run(self.tx, wish.id))
        found = {one.offering_id for one in self.run(match_queries.candidates(self.tx, run.id))}
        assert found == wish.candidates
        wish.state = "proposed" if found else "unmatched"
        if found:
            chosen = self.run(match_queries.latest(self.tx, wish.id)).offering_id
            assert chosen in found
            wish.give(self.offerings[chosen], "proposed")

    @rule(n=which)
    def lapse(self, n: int) -> None:
        wish = self.pick(n)
        if match_id := self.run(self.match_id(wish)):
            due = wish.match is not None and wish.match.state == "approved"
            assert self.run(matches.lapse(self.tx, match_id, self.days)) == due
            if due:
                wish.refuse()
                wish.move("lapse")

    # the node --------------------------------------------------------------------------------------------------------

    @rule(n=which, who=coordinator)
    def approve(self, n: int, who: str) -> None:
        wish = self.pick(n)
        room = wish.match is not None and wish.match.offering.load < wish.match.offering.capacity

        async def act() -> None:
            await matches.approve(self.tx, self.who[who], wish.id, await self.match_id(wish), self.days)

        if self.attempt(wish.may("approve") and wish.decides(who) and room, act):
            wish.move("approve", who)
            wish.put("approved")

    @rule(n=which, who=coordinator, m=which)
    def override(self, n: int, who: str, m: int) -> None:
        wish = self.pick(n)
        other = list(self.offerings.values())[m % len(self.offerings)]
        fits = other.id in wish.candidates and (wish.match is None or wish.match.offering is not other)
        allowed = wish.may("override") and wish.decides(who) and fits and other.load < other.capacity
        if self.attempt(
            allowed, lambda: matches.override(self.tx, self.who[who], wish.id, other.id, "更近", self.days)
        ):
            wish.move("override", who)
            wish.drop()
            wish.give(other, "approved")

    @rule(n=which, who=coordinator, step=st.sampled_from(["return", "escalate", "rank_again", "close"]))
    def send_elsewhere(self, n: int, who: str, step: str) -> None:
        wish, actor = self.pick(n), self.who[who]
        allowed = wish.may(step) and wish.decides(who)
        allowed = allowed and not (step == "return" and wish.returned)
        allowed = allowed and not (step == "escalate" and wish.node == "guangdong")
        notice = OneTimeNotice(missing=("技术方案",))
        uses: dict[str, Callable[[], Awaitable[object]]] = {
            "return": lambda: matches.give_notice(self.tx, actor, wish.id, notice, self.days),
            "escalate": lambda: matches.escalate(self.tx, actor, wish.id, "本地没有", self.days),
            "rank_again": lambda: matches.rank_again(self.tx, actor, wish.id),
            "close": lambda: matches.close(self.tx, actor, wish.id, "无法办理"),
        }
        if self.attempt(allowed, uses[step]):
            wish.move(step, who)
            wish.drop()
            wish.returned |= step == "return"
            if step == "escalate":
                wish.node, wish.owner, wish.offered_to = "guangdong", None, None

    @rule(n=which, who=coordinator, grant=yes)
    def answer_decline(self, n: int, who: str, grant: bool) -> None:
        waiting = [one for one in self.wishes if one.match and one.match.state == "decline_requested"]
        wish = (waiting or [self.pick(n)])[0]
        who = wish.owner if waiting and n % 2 and wish.owner else who
        asked = wish.match is not None and wish.match.state == "decline_requested"

        async def act() -> None:
            match_id = await self.match_id(wish)
            await matches.answer_decline(self.tx, self.who[who], match_id, self.days, grant=grant, note="已核实")

        if self.attempt(asked and wish.decides(who), act):
            if grant:
                wish.refuse()
                wish.move("decline", who)
            else:
                wish.put("approved")

    @rule(n=which, who=coordinator, step=st.sampled_from(["take", "offer", "accept", "turn_down", "call_off"]))
    def hand_over(self, n: int, who: str, step: str) -> None:
        open_ones = [one for one in self.wishes if one.state not in ENDED]
        wish = open_ones[n % len(open_ones)] if open_ones and n % 4 else self.pick(n)
        if n % 2:  # what is due
            step = step if wish.offered_to else "offer" if wish.owner else "take"
        who = {"offer": wish.owner, "call_off": wish.owner}.get(step, wish.offered_to) or who if n % 3 else who
        actor = self.who[who]
        to = "coordinator" if who == "coordinator2" else "coordinator2"
        here, is_open = wish.node in COVERS[who], wish.state not in ENDED
        allowed = {
            "take": wish.owner is None,
            "offer": wish.owner == who and wish.offered_to is None and wish.node == "shenzhen",
            "accept": wish.offered_to == who,
            "turn_down": wish.offered_to == who,
            "call_off": wish.owner in (None, who) and wish.offered_to is not None,
        }[step]
        answer = Reply(accept=step == "accept", note="手上太多")
        uses: dict[str, Callable[[], Awaitable[object]]] = {
            "take": lambda: ownership.take(self.tx, actor, wish.id),
            "offer": lambda: ownership.offer(self.tx, actor, wish.id, self.who[to].id, "请接手"),
            "accept": lambda: ownership.reply(self.tx, actor, wish.id, answer),
            "turn_down": lambda: ownership.reply(self.tx, actor, wish.id, answer),
            "call_off": lambda: ownership.call_off(self.tx, actor, wish.id),
        }
        if self.attempt(allowed and here and is_open, uses[step]):
            wish.owner = who if step in ("take", "accept") else wish.owner
            wish.offered_to = to if step == "offer" else None

    # the institution -------------------------------------------------------------------------------------------------

    @rule(
        n=which, step=st.sampled_from(["accept", "deliver", "decline"]), own=st.sampled_from([True, True, True, False])
    )
    def serve(self, n: int, step: str, own: bool) -> None:
        wish = self.pick(n)
        given = wish.match
        login = given.offering.login if given else "office"
        actor = self.who[login if own else {"office": "institution"}.get(login, "office")]
        states = {"accept": {"approved", "decline_requested"}, "deliver": {"accepted"}, "decline": {"approved"}}
        allowed = own and given is not None and given.state in states[step]

        async def act() -> None:
            match_id = await self.match_id(wish)
            if step == "accept":
                await matches.accept(self.tx, actor, match_id, self.days)
            elif step == "deliver":
                await matches.deliver(self.tx, actor, match_id, "受理通知书", self.days)
            else:
                await matches.decline(self.tx, actor, match_id, "人手不够", self.days)

        if self.attempt(allowed, act):
            assert given is not None
            if step == "decline" and given.offering.bound:
                wish.put("decline_requested")
                return
            wish.refuse() if step == "decline" else wish.put({"accept": "accepted", "deliver": "delivered"}[step])
            wish.move(step)

    # ratings ---------------------------------------------------------------------------------------------------------

    @rule(n=which, bad=yes)
    def rate(self, n: int, bad: bool) -> None:
        wish = self.pick(n)
        form = RatingForm(level=RatingLevel(2 if bad else 5), remark="晚了一周" if bad else "很快")
        act = ratings.rate
        if self.attempt(
            wish.state == "completed" and wish.rating is None,
            lambda: act(self.tx, self.who["enterprise"], wish.id, form, self.days, None),
        ):
            wish.rating = Rated(bad, rectification="verifying" if bad else None)

    @precondition(lambda self: any(wish.rating for wish in self.wishes))
    @rule(n=which, step=st.sampled_from(["add_remark", "reply", "report", "keep", "withhold"]))
    def speak_of_rating(self, n: int, step: str) -> None:
        wish, rated = self.rated(n)
        login, node = wish.match.offering.login if wish.match else "", self.node_of(wish)
        busy = rated.rectification not in (None, "closed")
        public = rated.state in ("published", "reported", "kept")
        allowed = {
            "add_remark": public and not rated.remarked,
            "reply": public and not busy and not rated.answered,
            "report": rated.state == "published",
            "keep": rated.state == "reported",
            "withhold": rated.state == "reported",
        }[step]
        rating_id, ruling = self.run(self.rating_id(wish)), Ruling(keep=step == "keep", note="已核实")
        uses: dict[str, Callable[[], Awaitable[object]]] = {
            "add_remark": lambda: ratings.add_remark(self.tx, self.who["enterprise"], wish.id, "补充", self.days),
            "reply": lambda: ratings.reply(self.tx, self.who[login], rating_id, "谢谢"),
            "report": lambda: ratings.report(self.tx, self.who[login], rating_id, "与服务无关", self.days),
            "keep": lambda: ratings.rule(self.tx, node, rating_id, ruling, self.days),
            "withhold": lambda: ratings.rule(self.tx, node, rating_id, ruling, self.days),
        }
        if self.attempt(allowed, uses[step]):
            rated.remarked |= step == "add_remark"
            rated.answered |= step == "reply"
            rated.state = {"report": "reported", "keep": "kept", "withhold": "withheld"}.get(step, rated.state)
            if step == "withhold" and busy:
                rated.rectification = "closed"

    @precondition(lambda self: any(wish.rating and wish.rating.bad for wish in self.wishes))
    @rule(n=which, step=st.sampled_from(["verify", "dismiss", "rectify", "answer", "good", "bad", "close"]))
    def rectify(self, n: int, step: str) -> None:
        wish, rated = self.rated(n)
        login, node = wish.match.offering.login if wish.match else "", self.node_of(wish)
        after = {
            ("verifying", "verify"): "rectifying",
            ("verifying", "dismiss"): "closed",
            ("rectifying", "rectify"): "answering",
            ("answering", "answer"): "revisiting",
            ("revisiting", "good"): "closing",
            ("revisiting", "bad"): "closing" if rated.sent_back else "rectifying",
            ("closing", "close"): "closed",
        }.get((rated.rectification or "", step))
        rating_id, use, tx, days = self.run(self.rating_id(wish)), rectification, self.tx, self.days
        server, party = self.who[login], self.who["enterprise"]
        uses: dict[str, Callable[[], Awaitable[object]]] = {
            "verify": lambda: use.verify(tx, node, rating_id, Finding(founded=True, note="属实"), days),
            "dismiss": lambda: use.verify(tx, node, rating_id, Finding(founded=False, note="不实"), days),
            "rectify": lambda: use.rectify(tx, server, rating_id, "已改", days),
            "answer": lambda: use.answer(tx, server, rating_id, "已改正", days),
            "good": lambda: use.revisit(tx, party, rating_id, Revisit(satisfied=True), days),
            "bad": lambda: use.revisit(tx, party, rating_id, Revisit(satisfied=False, note="没改"), days),
            "close": lambda: use.close(tx, node, rating_id, "办结", days),
        }
        if self.attempt(after, uses[step]):
            rated.rectification = after
            rated.answered |= step == "answer"
            rated.sent_back |= step == "bad"


@pytest.fixture(scope="module")
async def offered(db: Database, settings: Settings, world: World) -> list[Offered]:
    """All offerings, with few places each; one institution has taken up the item that is asked for."""
    form = OfferingForm(
        item_code=AID, title="维权援助受理", summary="供测试。", region_codes=("440300",), capacity=CAPACITY
    )
    async with db.transaction() as tx:
        await offerings.publish(tx, world.actors["office"], form, OfferingState.PUBLISHED)
        await taking_up.take_up(tx, world.actors["institution"], (AID,))
    owner = open_database(settings, owner=True)
    async with owner.transaction() as tx:
        await tx.execute("UPDATE offerings SET capacity = $1", CAPACITY)
    await owner.close()
    async with db.reading() as tx:
        rows = await tx.fetch(OFFERINGS)
    return [
        Offered(one, login, "guangdong" if login == "provincial" else "shenzhen", CAPACITY, bound)
        for one, login, bound in rows
    ]


async def test_whatever_is_done_the_database_is_as_the_model(
    settings: Settings, world: World, offered: list[Offered]
) -> None:
    def explore() -> None:
        with asyncio.Runner() as runner:
            database = open_database(settings)
            tx = runner.run(database.connect())
            run_state_machine_as_test(
                lambda: Lifecycle(runner, tx, world, offered),
                settings=how(
                    max_examples=30,
                    stateful_step_count=25,
                    derandomize=True,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
            runner.run(tx.close())

    await asyncio.to_thread(explore)
