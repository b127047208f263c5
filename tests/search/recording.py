"""A server that answers as it is told and keeps what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[str, str, object], tuple[int, object]]


class Server:
    """Its answer to a method, a path and a body, and all it was asked."""

    def __init__(self) -> None:
        self.answer: Answer = lambda *_: (200, {"results": []})
        self.asked: list[tuple[str, str, object]] = []
        self.url = ""


@contextmanager
def recording() -> Iterator[Server]:
    """A server of its own, on this machine."""
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = (self.command, self.path, json.loads(body) if body else None)
            told.asked.append(asked)
            status, answer = told.answer(*asked)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

        do_GET = do_POST = do_PATCH = do_DELETE = _any  # noqa: N815 - the names that http.server calls

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        told.url = f"http://127.0.0.1:{http.server_port}"
        yield told
        http.shutdown()
        thread.join()
