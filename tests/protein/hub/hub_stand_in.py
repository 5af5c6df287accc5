"""What does the Hub look like to a client, as a folder and as a server on this machine?"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def add_to_cache(
    cache: Path, repository: str, files: Mapping[str, bytes], *, commit: str, ref: str | None = None
) -> Path:
    """Add a snapshot to a cache as `huggingface_hub` lays it out; return the snapshot's folder."""
    base = cache / f"models--{repository.replace('/', '--')}"
    snapshot = base / "snapshots" / commit
    for folder in (snapshot, base / "blobs", base / "refs"):
        folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        blob = base / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / name).symlink_to(blob)
    if ref is not None:
        (base / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
        (base / "refs" / ref).write_text(commit)
    return snapshot


class StandIn:
    """Repositories by name, each with revisions by name; and what was asked."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, dict[str, bytes]]] = {}
        self.refused: dict[str, tuple[int, str]] = {}
        self.created: list[dict] = []
        self.commits: list[dict] = []
        self.downloaded: list[str] = []


@contextmanager
def serving(hub: StandIn) -> Iterator[str]:
    """Answer requests on this machine; yield the address for `HF_ENDPOINT`."""

    class Handler(_Handler):
        stand_in = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def commit_of(revision: str) -> str:
    """Return the commit that a branch of the stand-in points to."""
    return hashlib.sha1(revision.encode(), usedforsecurity=False).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self._file(with_content=False)

    def do_GET(self) -> None:
        self._file(with_content=True)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.split("?")[0]
        if path == "/api/repos/create":
            asked = json.loads(body)
            self.stand_in.created.append(asked)
            name = f"{asked['organization']}/{asked['name']}"
            self._json({"url": f"http://{self.headers['Host']}/{name}", "name": name})
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                for one in json.loads(body)["files"]
            ]
            self._json({"files": files})
        elif "/commit/" in path:
            self._commit(path, [json.loads(line) for line in body.splitlines()])
        else:
            self._refuse(404, "")

    def _commit(self, path: str, lines: list[dict]) -> None:
        name, revision = path.removeprefix("/api/models/").split("/commit/")
        files = {
            line["value"]["path"]: base64.b64decode(line["value"]["content"])
            for line in lines
            if line["key"] == "file"
        }
        header = next(line["value"] for line in lines if line["key"] == "header")
        asked = {"name": name, "revision": revision, "summary": header["summary"]}
        asked["query"] = self.path.partition("?")[2]
        self.stand_in.commits.append({**asked, "files": sorted(files)})
        self.stand_in.repositories.setdefault(name, {})[revision] = files
        commit = commit_of(revision)
        url = f"http://{self.headers['Host']}/{name}/commit/{commit}"
        proposed = {"pullRequestUrl": f"http://{self.headers['Host']}/{name}/discussions/1"}
        self._json(
            {"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": "", **proposed}
        )

    def _file(self, *, with_content: bool) -> None:
        parts = self.path.split("?")[0].strip("/").split("/")
        listed = parts[:2] == ["api", "models"]
        parts = parts[2:] if listed else parts
        name = "/".join(parts[:2])
        if name in self.stand_in.refused:
            self._refuse(*self.stand_in.refused[name])
        elif name not in self.stand_in.repositories:
            self._refuse(404, "RepoNotFound")
        elif listed:
            self._listed(name, *(parts[2:] if len(parts) == 4 else ("revision", "main")))
        else:
            self._resolved(self.stand_in.repositories[name], *parts[3:], with_content=with_content)

    def _listed(self, name: str, kind: str, revision: str) -> None:
        """Answer with the files of a revision, as a repository or, for newer clients, a tree."""
        revisions = self.stand_in.repositories[name]
        branch = {commit_of(one): one for one in revisions}.get(revision, revision)
        if branch not in revisions:
            self._refuse(404, "RevisionNotFound")
        elif kind == "tree":
            files = revisions[branch].items()
            self._json(
                [
                    {"type": "file", "path": file, "size": len(content), "oid": commit_of(file)}
                    for file, content in files
                ]
            )
        else:
            listed = [{"rfilename": file} for file in revisions[branch]]
            self._json({"id": name, "sha": commit_of(branch), "siblings": listed})

    def _resolved(
        self,
        revisions: dict[str, dict[str, bytes]],
        revision: str,
        file: str,
        *,
        with_content: bool,
    ) -> None:
        by_commit = {commit_of(one): one for one in revisions}
        branch = by_commit.get(revision, revision)
        if branch not in revisions:
            self._refuse(404, "RevisionNotFound")
        elif file not in revisions[branch]:
            self._refuse(404, "EntryNotFound", commit_of(branch))
        else:
            content = revisions[branch][file]
            if with_content:
                self.stand_in.downloaded.append(file)
            self._answer(
                200,
                {
                    "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
                    "X-Repo-Commit": commit_of(branch),
                    "Content-Type": "application/octet-stream",
                },
                content,
                send=with_content,
            )

    def _json(self, document: object) -> None:
        content = json.dumps(document).encode()
        self._answer(200, {"Content-Type": "application/json"}, content)

    def _refuse(self, status: int, code: str, commit: str = "") -> None:
        headers = {"X-Error-Code": code} if code else {}
        if commit:
            headers["X-Repo-Commit"] = commit
        self._answer(status, headers, b"")

    def _answer(
        self, status: int, headers: dict[str, str], content: bytes, *, send: bool = True
    ) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if send and self.command != "HEAD":
            self.wfile.write(content)
