"""A hub on this machine, which gives and takes files as the hub's client asks."""

import base64
import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOKEN = "hf_of_a_test"
_PUBLISHED = "apple/DepthPro"
_SHA = "0" * 40


class Hub(ThreadingHTTPServer):
    """A hub as its clients ask for it; a silent one accepts and never answers."""

    daemon_threads = True

    def __init__(self, content: bytes | None = None, silent: bool = False) -> None:
        """Hold the published weights' file, or nothing, at the first free port."""
        hub = self
        self.repositories = {} if content is None else {_PUBLISHED: {"depth_pro.pt": content}}
        self.large: dict[str, bytes] = {}  # by the SHA-256 of what is uploaded beside commits

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if silent:
                    hub.released.wait()
                name, rest = _split(self.path)
                files = hub.repositories.get(name)
                if files is None:
                    self.reply(b"{}", 404, {"X-Error-Code": "RepoNotFound"})
                elif rest.startswith("/tree/"):
                    about = {"type": "file", "oid": _SHA}
                    entries = [about | {"path": p, "size": len(c)} for p, c in files.items()]
                    self.reply(json.dumps(entries).encode())
                elif rest.startswith("/resolve/"):
                    self.reply(files[rest.split("/", 3)[3]])
                else:
                    self.reply(json.dumps({"id": name, "sha": _SHA}).encode())

            do_HEAD = do_GET

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                name, rest = _split(self.path)
                signed_in = self.headers["Authorization"] == f"Bearer {TOKEN}"
                answer: dict = {}
                if not signed_in:
                    self.reply(b"{}", 401)
                    return
                if self.path == "/api/repos/create":
                    asked = json.loads(body)
                    name = "/".join(filter(None, (asked.get("organization", "me"), asked["name"])))
                    answer = {"url": f"{hub.url}/{name}"}
                    if name in hub.repositories:
                        self.reply(json.dumps(answer).encode(), 409)
                        return
                    hub.repositories[name] = {}
                elif rest.startswith("/preupload/"):
                    answer = {"files": [_mode(file["path"]) for file in json.loads(body)["files"]]}
                elif rest == "/info/lfs/objects/batch":
                    upload = {"actions": {"upload": {"href": f"{hub.url}/large"}}}
                    objects = json.loads(body)["objects"]
                    answer = {"objects": [each | upload for each in objects]}
                elif rest.startswith("/commit/"):
                    hub.commit(name, [json.loads(line) for line in body.splitlines()])
                    answer = {"commitUrl": f"{hub.url}/{name}/commit/{_SHA}", "commitOid": _SHA}
                self.reply(json.dumps(answer).encode())

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hub.large[hashlib.sha256(body).hexdigest()] = body
                self.reply(b"")

            def reply(self, body: bytes, status: int = 200, headers: dict | None = None) -> None:
                self.send_response(status)
                given = {"Content-Length": len(body), "ETag": f'"{_sha(body)}"'}
                for key, value in {**given, "X-Repo-Commit": _SHA, **(headers or {})}.items():
                    self.send_header(key, str(value))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def commit(self, name: str, lines: list[dict]) -> None:
        """Take the files of a commit."""
        for line in lines:
            value, files = line["value"], self.repositories[name]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.large[value["oid"]]


def _split(path: str) -> tuple[str, str]:
    """Return the repository of a path, and what follows."""
    path = path.split("?")[0].removeprefix("/api/models").lstrip("/")
    owner, name, *rest = [*path.split("/"), ""]
    return f"{owner}/{name.removesuffix('.git')}", "/" + "/".join(rest).rstrip("/")


def _mode(path: str) -> dict:
    """Return whether a file is uploaded beside its commit."""
    large = path.endswith(".safetensors")
    return {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:40]


@contextlib.contextmanager
def asked_hub(hub: Hub, folder: Path) -> Iterator[dict[str, str]]:
    """Serve a hub; give the environment of a process that asks it and has an empty cache."""
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    names = {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(folder), "HF_HUB_OFFLINE": "0"}
    yield {**os.environ, **names, "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": TOKEN}
    hub.released.set()
    hub.shutdown()
