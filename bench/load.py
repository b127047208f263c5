"""A small HTTP load client: so many clients, each on one kept-alive connection, each sending its next request when its
last one was answered (a closed loop, as wrk and pgbench do).

It runs on uvloop and does nothing but send, find the end of an answer and note the time, because on a small machine
every cycle of the client is taken from what it measures. An unexpected answer ends the run: a server that is fast at
refusing is not fast.
"""

import asyncio
import functools
import math
import time
from collections.abc import Iterator, Sequence
from typing import cast

import uvloop
from msgspec import Struct

HEAD_END = b"\r\n\r\n"
TIMEOUT_SECONDS = 30.0
"""How long after the end of a run its last answers are waited for."""


class Run(Struct, frozen=True):
    """What a run came to: answers per second, and milliseconds from sending to the last byte."""

    rate: float
    p50: float
    p99: float


class UnexpectedAnswer(Exception):
    """Not the status the run is about, or no HTTP that this client reads."""


def request(method: str, path: str, *, body: bytes = b"", **headers: str) -> bytes:
    """A request as it goes over the wire; ``_`` in the name of a header stands for ``-``."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + HEAD_END + body


def drive(port: int, clients: Sequence[Iterator[bytes]], *, status: int, seconds: int, warm: float) -> Run:
    """Send each client's requests to 127.0.0.1 for ``warm`` + ``seconds``; only the latter count. Blocks.

    Raises:
        UnexpectedAnswer: an answer had another status than ``status``.
    """
    return uvloop.run(_drive(port, clients, status, seconds, warm))


def summary(latencies: Sequence[float], seconds: float) -> Run:
    """The run of these latencies, in seconds."""
    ordered = sorted(latencies)
    return Run(len(ordered) / seconds, percentile(ordered, 50) * 1000, percentile(ordered, 99) * 1000)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest of the ``ordered`` values that so many percent do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


async def _drive(port: int, clients: Sequence[Iterator[bytes]], status: int, seconds: int, warm: float) -> Run:
    loop = asyncio.get_running_loop()
    began = time.perf_counter() + warm
    made: list[_Client] = []
    for requests in clients:
        connect = functools.partial(_Client, requests, status, began, began + seconds)
        made.append((await loop.create_connection(connect, "127.0.0.1", port))[1])
    async with asyncio.timeout(warm + seconds + TIMEOUT_SECONDS):
        await asyncio.gather(*(client.done for client in made))
    return summary([taken for client in made for taken in client.latencies], seconds)


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, requests: Iterator[bytes], status: int, began: float, ends: float) -> None:
        self.latencies: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests, self._began, self._ends = requests, began, ends
        self._expected = b"HTTP/1.1 %d " % status
        self._answer = b""
        self._sent = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class, and no subclass
        self._send()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, found, body = self._answer.partition(HEAD_END)
        if not found:
            return
        if not head.startswith(self._expected):
            self._fail(UnexpectedAnswer(self._answer[:2000].decode(errors="replace")))
        elif len(body) >= _content_length(head):
            self._answered()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or UnexpectedAnswer("the server closed the connection"))

    def _send(self) -> None:
        assert self._transport is not None
        self._answer = b""
        self._sent = time.perf_counter()
        self._transport.write(next(self._requests))

    def _answered(self) -> None:
        assert self._transport is not None
        now = time.perf_counter()
        if self._began <= now < self._ends:
            self.latencies.append(now - self._sent)
        if now < self._ends:
            self._send()
        elif not self.done.done():
            self.done.set_result(None)
            self._transport.close()

    def _fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


def _content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    if not found:
        raise UnexpectedAnswer(f"an answer without a length: {head.decode(errors='replace')}")
    return int(rest.partition(b"\r\n")[0])
