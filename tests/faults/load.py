"""Everybody at once, through the HTTP API: enterprises submit, coordinators decide, institutions serve.

Whoever changes something does so under an Idempotency-Key and repeats the call under the same key until it is answered,
as a client on a bad line would. What was acknowledged is noted: it has to be there at the end.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random
from typing import Any

import httpx

from tests.factories import AID, CONSULTING, PATENT, TRADEMARK

TEXTS = (
    "想申请发明专利",
    "商标注册怎么办理",
    "专利被侵权了怎么维权",
    "知识产权政策咨询",
    "产品被人仿冒，想申请维权援助",
)
ITEMS: Sequence[tuple[str, ...]] = ((), (PATENT,), (TRADEMARK,), (AID,), (CONSULTING,), (CONSULTING,), (AID,))
AGAIN = (429, 502, 503)
"""Answers after which the same call is made again."""
REFUSED = (404, 409, 422)
"""What somebody is told who came too late: another has decided meanwhile."""
CALL_SECONDS, GIVE_UP_SECONDS = 20.0, 90.0


class Unanswered(AssertionError):
    """A call that was never answered, however often it was repeated."""


class Load:
    """What was asked, and what was answered. ``seed`` makes every choice, though not their order in time.

    ``offerings``: of the institution that pauses them and takes them up again. ``pause``: of everybody, in seconds.
    """

    def __init__(
        self, base: str, token: Callable[[str], str], offerings: Sequence[int], seed: int, *, pause: float
    ) -> None:
        self.offerings = offerings
        self.acknowledged: dict[str, int] = {}
        """Idempotency-Key → need, for every submission that was answered."""
        self.asked = 0
        self.surprises: list[str] = []
        self.retried: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()
        self.stopping = asyncio.Event()
        self._base, self._token, self._seed, self._pause = base, token, seed, pause

    async def run(self) -> None:
        """Until ``stopping`` is set and every call in flight is answered."""
        who: Sequence[tuple[str, Callable[[Caller], Awaitable[None]]]] = (
            *((login, submit) for login in ("enterprise", "rival", "enterprise")),
            *((login, decide) for login in ("coordinator", "coordinator2", "coordinator")),
            *((login, serve) for login in ("institution", "office", "provincial")),
            *((login, confirm) for login in ("enterprise", "rival")),
            ("institution", change_offering),
        )
        async with asyncio.TaskGroup() as group:
            for number, (login, act) in enumerate(who):
                group.create_task(self._keep_on(login, act, Random(f"{self._seed}:{number}")))

    async def _keep_on(self, login: str, act: Callable[["Caller"], Awaitable[None]], rng: Random) -> None:
        async with self.caller(login, rng) as caller:
            while not self.stopping.is_set():
                await act(caller)
                await asyncio.sleep(rng.uniform(0.2, 1.8) * self._pause)

    def caller(self, login: str, rng: Random) -> "Caller":
        """Somebody with a connection of his own."""
        return Caller(self, login, rng, self._base, self._token(login))

    def acknowledge(self, key: str, need_id: int) -> None:
        """The same key is answered with the same need, whenever it is asked."""
        if self.acknowledged.setdefault(key, need_id) != need_id:
            self.surprises.append(f"{key} was answered with needs {self.acknowledged[key]} and {need_id}")


class Caller:
    """One client."""

    def __init__(self, load: Load, login: str, rng: Random, base: str, token: str) -> None:
        self.load, self.login, self.rng = load, login, rng
        self._client = httpx.AsyncClient(
            base_url=f"{base}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=CALL_SECONDS
        )

    async def __aenter__(self) -> "Caller":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(self, path: str, **params: str | int) -> Any:
        """What is there; None where it is not."""
        answer = await self._until_answered("GET", path, params=params)
        return answer.json() if answer.status_code == 200 else None

    async def post(self, path: str, body: Mapping[str, Any] | None = None, *, key: str = "") -> httpx.Response:
        """The answer to a change, made once however often it takes to hear of it."""
        headers = {"Idempotency-Key": key or f"{self.rng.getrandbits(128):032x}"}
        answer = await self._until_answered("POST", path, json=body, headers=headers)
        step = path.rsplit("/", 1)[-1] or "submit"
        self.load.steps[f"{step} {answer.status_code}"] += 1
        return answer

    async def _until_answered(self, method: str, path: str, **given: Any) -> httpx.Response:
        now = asyncio.get_running_loop().time
        began, why = now(), ""
        while now() - began < GIVE_UP_SECONDS:
            try:
                answer = await self._client.request(method, path, **given)
            except httpx.TransportError as error:
                why = type(error).__name__
            else:
                if answer.status_code not in AGAIN:
                    if answer.status_code >= 300 and answer.status_code not in REFUSED:
                        self.load.surprises.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
                    return answer
                why = str(answer.status_code)
            self.load.retried[why] += 1
            await asyncio.sleep(self.rng.uniform(0.02, 0.3))
        raise Unanswered(f"{method} {path}: {why} for {GIVE_UP_SECONDS:g} s")


async def submit(who: Caller) -> None:
    """A need; now and then twice at once under one key, or once more after the answer."""
    rng, load = who.rng, who.load
    load.asked += 1
    key = f"{rng.getrandbits(128):032x}"
    body = {"body": f"{rng.choice(TEXTS)}（{key[:8]}）", "item_codes": rng.choice(ITEMS)}
    times = 2 if rng.random() < 0.2 else 1
    answers = await asyncio.gather(*(who.post("/needs/", body, key=key) for _ in range(times)))
    if rng.random() < 0.2:
        answers.append(await who.post("/needs/", body, key=key))
    for answer in answers:
        if answer.status_code == 201:
            load.acknowledge(key, answer.json()["id"])
    if rng.random() < 0.05:
        other = await who.post("/needs/", {**body, "body": "另一件事"}, key=key)
        if other.status_code != 422:
            load.surprises.append(f"another body under a used key: {other.status_code}")


async def decide(who: Caller) -> None:
    """Approve what is proposed, or another candidate; sometimes have it ranked again, or end it."""
    rng = who.rng
    waiting = (await who.get("/needs", state="proposed", limit=50) or {"items": []})["items"]
    if not waiting:
        return
    need = rng.choice(waiting)["id"]
    if rng.random() < 0.3:
        await who.post(f"/needs/{need}/take")
    shown = await who.get(f"/needs/{need}/ranking")
    if not shown or not shown["match"]:
        return
    dice = rng.random()
    if dice < 0.75:
        await who.post(f"/needs/{need}/approve", {"match_id": shown["match"]["id"]})
    elif dice < 0.88 and shown["candidates"]:
        other = rng.choice(shown["candidates"])["offering_id"]
        await who.post(f"/needs/{need}/override", {"offering_id": other, "reason": "就近办理更方便"})
    elif dice < 0.96:
        await who.post(f"/needs/{need}/rank-again")
    else:
        await who.post(f"/needs/{need}/close", {"note": "不属于受理范围"})


async def serve(who: Caller) -> None:
    """Take what was assigned, or decline it; hand over what was taken."""
    rng = who.rng
    for match in (await who.get("/matches", state="approved", limit=10) or {"items": []})["items"][:3]:
        if rng.random() < 0.85:
            await who.post(f"/matches/{match['id']}/accept")
        else:
            await who.post(f"/matches/{match['id']}/decline", {"note": "本周人手不足"})
    for match in (await who.get("/matches", state="accepted", limit=10) or {"items": []})["items"][:3]:
        await who.post(f"/matches/{match['id']}/deliver", {"result": "已出具书面意见"})


async def confirm(who: Caller) -> None:
    """The result answers the need; sometimes take a need back. No rework: that may exceed the capacity, by design."""
    rng = who.rng
    for need in (await who.get("/needs", state="delivered", limit=20) or {"items": []})["items"][:3]:
        await who.post(f"/needs/{need['id']}/confirm")
    if rng.random() < 0.05:
        waiting = (await who.get("/needs", state="proposed", limit=20) or {"items": []})["items"]
        if waiting:
            await who.post(f"/needs/{rng.choice(waiting)['id']}/withdraw", {"note": "不需要了"})


async def change_offering(who: Caller) -> None:
    """Pause and publish one's own offerings: the search index has to follow."""
    offering = who.rng.choice(who.load.offerings)
    for state in ("paused", "published"):
        await who.post(f"/offerings/{offering}/state", {"state": state})
