"""A bad line: a relay between unix sockets that delays, cuts in the middle of an answer, or swallows everything."""

import asyncio
from contextlib import suppress
from pathlib import Path
from random import Random

CHUNK = 4096


class Proxy:
    """Listens at ``here`` and passes on to ``there``. What it does to the line can be changed at any time."""

    def __init__(self, here: Path, there: Path, rng: Random) -> None:
        self.delay = 0.0
        """At most so many seconds more for each piece, in either direction."""
        self.cuts = 0.0
        """How likely it is that a connection ends with a piece of which only half was passed on."""
        self.swallows = False
        """Nothing is passed on, and nothing refused: a line that is open and dead."""
        self.cut = 0
        self._here, self._there, self._rng = here, there, rng
        self._lines: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_unix_server(self._connected, self._here)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for _ in range(5):  # what was accepted last begins a turn later, and transports end one later still
            for line in self._lines:
                line.cancel()
            await asyncio.gather(*self._lines, return_exceptions=True)
            await asyncio.sleep(0.02)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        try:
            there = await asyncio.open_unix_connection(self._there)
        except OSError:
            writer.transport.abort()
            self._lines.discard(task)
            return
        ways = [
            asyncio.create_task(self._pass_on(reader, there[1], answers=False)),
            asyncio.create_task(self._pass_on(there[0], writer, answers=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for one in (writer, there[1]):
                one.transport.abort()
            self._lines.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        with suppress(OSError):
            while piece := await reader.read(CHUNK):
                while self.swallows:
                    await asyncio.sleep(0.05)
                if self.delay:
                    await asyncio.sleep(self._rng.uniform(0, self.delay))
                if answers and self._rng.random() < self.cuts:
                    self.cut += 1
                    writer.write(piece[: len(piece) // 2])
                    await writer.drain()
                    return
                writer.write(piece)
                await writer.drain()
