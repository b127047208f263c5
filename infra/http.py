"""uvicorn's HTTP protocol with limits that it leaves out: the size of a request's head, and the time it may take."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 32 * 1024
HEAD_SECONDS = 15.0
TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 26\r\nconnection: close\r\n\r\nThe headers are too large."
)


class BoundedHttp(HttpToolsProtocol):
    """A connection whose next request has to be said in HEAD_BYTES and HEAD_SECONDS."""

    _head: int | None = 0
    """Bytes of the head so far; None while no head is read."""
    _too_large = False
    _clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A client that connects and says nothing holds a place, too."""
        super().connection_made(transport)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A head that is not complete is counted as it comes: the parser would collect a line without an end."""
        if self._head is not None:
            self._head += len(data)
        super().data_received(data)
        if self._head is not None and self._head > HEAD_BYTES:
            self._refuse()

    def on_message_begin(self) -> None:
        """The first line."""
        super().on_message_begin()
        self._head = 0
        if self._clock is None:
            self._start_clock()

    def on_headers_complete(self) -> None:
        """What came in one piece is counted here; the exception makes the parser stop."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > HEAD_BYTES:
            self._too_large = True
            raise ValueError("head too large")
        self._head = None
        self._stop_clock()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser did not take."""
        if self._too_large:
            self._refuse()
        else:
            super().send_400_response(msg)

    def _refuse(self) -> None:
        self._head = None
        if not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
            self.transport.close()

    def _start_clock(self) -> None:
        self._clock = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
