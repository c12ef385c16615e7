"""A web server on loopback that answers as sources of media do."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def serving() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.requested_paths, server.sent = [], 0
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Answers(BaseHTTPRequestHandler):
    """A server with good and evil habits; `requested_paths` are the paths that it was asked for."""

    requested_paths: list[str]

    def do_GET(self) -> None:
        self.server.requested_paths.append(self.path)
        kind = self.path.rsplit("/", 1)[-1].split("?")[0]
        if kind.startswith("to_"):
            self.send_response(302)
            self.send_header("Location", "/media/good" if kind == "to_inside" else "/secret")
            self.end_headers()
        elif kind == "slow":
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                if not self.drip(b"x"):
                    return
                time.sleep(0.05)
        elif kind == "silent":
            time.sleep(2)
        elif kind in {"endless", "liar"}:
            self.send_response(200)
            if kind == "liar":
                self.send_header("Content-Length", "999999999")
            self.end_headers()
            while self.drip(b"x" * 500):
                self.server.sent += 500
        else:
            self.plain(kind)

    def plain(self, kind: str) -> None:
        self.send_response({"good": 200, "none": 200, "gzip": 200, "error": 500}.get(kind, 404))
        if kind == "gzip":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(b"" if kind == "none" else b"pixels")

    def drip(self, content: bytes) -> bool:
        try:
            self.wfile.write(content)
        except OSError:
            return False
        return True

    def log_message(self, *_: object) -> None:
        pass
