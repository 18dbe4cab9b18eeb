"""A hub on this machine: one file, served as the hub's client asks for it."""

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Hub(ThreadingHTTPServer):
    """A hub of one file, as its clients ask for it; a silent one accepts and never answers."""

    daemon_threads = True

    def __init__(self, content: bytes, silent: bool = False) -> None:
        """Hold a file, at the first free port."""
        hub, sha = self, "0" * 40

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if silent:
                    hub.released.wait()
                path = self.path.split("?")[0]
                entry = {"type": "file", "path": "depth_pro.pt", "size": len(content), "oid": sha}
                if "/tree/" in path:
                    self.reply(json.dumps([entry]).encode())
                elif path.startswith("/api/models/apple/DepthPro"):
                    self.reply(json.dumps({"id": "apple/DepthPro", "sha": sha}).encode())
                else:
                    self.reply(content)

            do_HEAD = do_GET

            def reply(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("ETag", f'"{sha}"')
                self.send_header("X-Repo-Commit", sha)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def asked_hub(hub: Hub, folder: Path) -> Iterator[dict[str, str]]:
    """Serve a hub; give the environment of a process that asks it and has an empty cache."""
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    names = {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(folder), "HF_HUB_OFFLINE": "0"}
    yield {**os.environ, **names, "HF_HUB_DISABLE_XET": "1"}
    hub.released.set()
    hub.shutdown()
