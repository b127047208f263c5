"""Use cases of the audit trail: write, chain, verify, forget, read."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from infra.db import Transaction
from infra.observe import address, request_id
from market.audit import queries
from market.audit.model import NOBODY, Action, Entry, Filter, Finding, Seal, Shown, Verdict, Who, digest
from market.errors import InvalidInput

BEIJING = ZoneInfo("Asia/Shanghai")
BATCH = 5000
"""Entries chained at once, about."""
MOST_FINDINGS = 100
EXPORT_ROWS = 500


async def record(
    tx: Transaction,
    who: Who | None,
    action: Action,
    about: str = "",
    /,
    *,
    role: str = NOBODY,
    **data: str | int | None,
) -> None:
    """Tell of something in the transaction that does it.

    ``about`` names the object by kind and id, ``role`` who it was where there is no account; nothing personal goes into
    ``data``.
    """
    await queries.add(
        tx,
        actor_id=who.id if who else None,
        role=who.role if who else role,
        action=action,
        about=about,
        request_id=request_id(),
        address=address(),
        data=dict(data),
    )


async def asked_lately(tx: Transaction, who: Who, about: str, minutes: int) -> bool:
    """Whether they asked to be shown the object's contact so few minutes ago."""
    return await queries.asked_lately(tx, who.id, about, minutes)


async def seal(tx: Transaction) -> Seal | None:
    """Chain what has been written; the new seal, or None where there is nothing, or somebody else is at it.

    Entries are written by many transactions at once, and ids are drawn before commits: an entry with a low id may come
    to light late. So only those of transactions are taken that come before all that still run; nothing can be added to
    them any more. What was chained stays, and each entry is chained once, in the order of transactions.
    """
    if not await queries.try_lock(tx):
        return None
    last, now = await queries.last_seal(tx), await queries.snapshot(tx)
    if last.horizon > now.future:  # the database was restored on another server, which counts from elsewhere
        entries, horizon = await queries.foreign(tx, now), now.horizon
    else:
        entries, horizon = await _next(tx, last.horizon, now.horizon)
    if not entries:
        return None
    hashes, hashed = [], last.hash
    for entry in entries:
        hashed = digest(hashed, entry)
        hashes.append(hashed)
    end = last.position + len(entries)
    await queries.chain(tx, range(last.position + 1, end + 1), [entry.id for entry in entries], hashes)
    await queries.seal(tx, end, hashed, horizon)
    return await queries.last_seal(tx)


async def _next(tx: Transaction, start: int, most: int) -> tuple[list[Entry], int]:
    """About a batch of entries of whole transactions from ``start`` on, and the transaction they come before."""
    while True:
        near = await queries.nearer(tx, start, most, BATCH)
        horizon = most if near is None else near
        entries = await queries.unchained(tx, start, horizon)
        if entries or horizon == most:
            return entries, horizon
        start = horizon


async def verify(tx: Transaction, anchors: list[str]) -> Verdict:
    """Walk the whole chain. ``anchors``, noted outside before, are places it has to lead through.

    Raises:
        InvalidInput: an anchor is none.
    """
    wanted = dict(_anchor(text) for text in anchors)
    await queries.hold_still(tx)
    seals = {one.position: one for one in await queries.seals(tx)}
    walk = _Walk(seals, wanted)
    async for link in queries.links(tx):
        walk.step(link.position, link.audit_id, link.hash, link.entry)
    last = seals[max(seals)] if seals else Seal(0, b"", 0, datetime.min.replace(tzinfo=UTC))
    walk.end()
    walk.findings += [
        Finding(0, f"entry {one} is in no place of the chain") for one in await queries.stray(tx, last.horizon)
    ]
    return Verdict(walk.checked, await queries.waiting(tx), last, walk.findings[:MOST_FINDINGS])


class _Walk:
    """Verifying, place by place. A wrong place is told, and the walk goes on from what is written there."""

    def __init__(self, seals: dict[int, Seal], anchors: dict[int, str]) -> None:
        self._seals, self._anchors = seals, anchors
        start = min(seals, default=0)
        self._position, self._hash = start, seals[start].hash if seals else b""
        self.checked = 0
        self.findings: list[Finding] = []
        if not seals:
            self._tell(0, "there are no seals")
        for position in [one for one in anchors if one < start]:
            del anchors[position]  # forgotten, as it may be
        if start in anchors and anchors[start] != self._hash.hex():
            self._tell(start, f"the seal at {start} is not the one noted as an anchor")

    def step(self, position: int, audit_id: int, hashed: bytes, entry: dict[str, object] | None) -> None:
        """One place."""
        if position != self._position + 1:
            self._tell(position, f"places {self._position + 1} to {position - 1} of the chain are gone")
            self._hash = b""
        if entry is None:
            self._tell(position, f"entry {audit_id} was deleted")
        elif not self._hash:
            pass  # what came before is gone; it has been told
        elif digest(self._hash, msgspec.convert(entry, Entry)) != hashed:
            self._tell(position, f"entry {audit_id} was changed, or is not in its place")
        self._position, self._hash = position, hashed
        self.checked += 1
        if (seal := self._seals.get(position)) and seal.hash != hashed:
            self._tell(position, f"the chain does not lead through the seal at {position}")
        if (anchor := self._anchors.get(position)) and anchor != hashed.hex():
            self._tell(position, f"the chain does not lead through the anchor at {position}: it was written anew")

    def end(self) -> None:
        """What there should be and is not."""
        noted = max([*self._seals, *self._anchors], default=0)
        if noted > self._position:
            self._tell(noted, f"the end of the trail is gone: places {self._position + 1} to {noted}")

    def _tell(self, position: int, problem: str) -> None:
        self.findings.append(Finding(position, problem))


def _anchor(text: str) -> tuple[int, str]:
    position, _, hashed = text.partition(":")
    if not position.isdecimal() or len(hashed) != 64:
        raise InvalidInput(f"{text} is no anchor: it is what `zhipei audit anchor` printed, as 120:9f86d0…")
    return int(position), hashed


async def listing(tx: Transaction, wanted: Filter, before: int | None, limit: int) -> list[Shown]:
    """Entries that fit, newest first; days are Beijing's."""
    return await queries.listing(tx, wanted, _midnight(wanted.since), _midnight(wanted.until, 1), before, limit)


async def everything(tx: Transaction, wanted: Filter) -> AsyncIterator[Shown]:
    """All entries that fit, newest first."""
    before = None
    while rows := await listing(tx, wanted, before, EXPORT_ROWS):
        for row in rows:
            yield row
        before = rows[-1].id


def _midnight(day: date | None, later: int = 0) -> datetime | None:
    return None if day is None else datetime.combine(day + timedelta(days=later), time(), BEIJING)
