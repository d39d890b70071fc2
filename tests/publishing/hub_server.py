"""A stand-in of the Hugging Face Hub's API on 127.0.0.1: repositories of datasets, branches, LFS, commits."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

from flask import Flask, Response, abort, jsonify, request
from werkzeug.serving import make_server

TOKEN = "hf_doNotPrintMe"
# Files that the Hub's own .gitattributes puts into large file storage.
_LARGE = (".parquet", ".png")


@dataclass(frozen=True)
class Entry:
    """A file of a commit."""

    oid: str
    size: int
    lfs: bool


@dataclass
class Repo:
    """Commits are path -> entry; branches name the last of them."""

    private: bool
    commits: dict = field(default_factory=dict)
    branches: dict = field(default_factory=dict)
    titles: list = field(default_factory=list)

    def add(self, branch, tree, title="", description=""):
        commit = hashlib.sha1(f"{len(self.commits)}".encode()).hexdigest()
        self.commits[commit], self.branches[branch] = tree, commit
        self.titles.append((branch, title, description))
        return commit

    def tree(self, revision):
        commit = self.branches.get(revision, revision)
        if commit not in self.commits:
            abort(404, response=refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}"))
        return self.commits[commit]


def refusal(status, code, message):
    """An error as the Hub sends it."""
    reply = jsonify(error=message)
    reply.status_code = status
    reply.headers["X-Error-Code"], reply.headers["X-Error-Message"] = code, message
    return reply


class HubServer:
    """What the Hub holds, and how it fails.

    `faults` is a list of [pattern of "METHOD /path", how many to let pass, how often, what]: a status, or "cut" to
    drop the connection. `before(line)` is called ahead of each request.
    """

    def __init__(self, cas=None):
        self.cas = cas
        self.repos: dict[str, Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.large: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.part_bytes = None
        self.batch_error = None
        self.received: list[str] = []
        self.requests: list[str] = []
        self.faults: list[list] = []
        self.before = lambda line: None
        self.lock = threading.Lock()
        self.url = ""

    def files(self, repo, branch="main"):
        """Path -> bytes of a branch; None for those that lie in Xet's storage."""
        tree = self.repos[repo].commits[self.repos[repo].branches[branch]]
        return {path: self.large.get(e.oid) if e.lfs else self.blobs[e.oid] for path, e in tree.items()}

    def keep(self, content):
        oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        self.blobs[oid] = content
        return Entry(oid, len(content), lfs=False)

    @property
    def writes(self):
        """Requests that change something, or send content."""
        return [line for line in self.requests if not line.startswith(("GET", "HEAD"))]


def _app(hub):
    app = Flask("hub")

    @app.before_request
    def fail_or_check():
        line = f"{request.method} {request.path}"
        with hub.lock:
            hub.requests.append(line)
            what = _fault(line)
        hub.before(line)
        if what == "cut":
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            abort(500)
        if what is not None:
            return refusal(what, "", "made to fail")
        if request.path.startswith("/store/"):
            return None
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return refusal(401, "", "Invalid credentials in Authorization header")
        return None

    def _fault(line):
        for fault in hub.faults:
            if re.search(fault[0], line) and fault[2]:
                at = 1 if fault[1] else 2
                fault[at] -= 1
                return fault[3] if at == 2 else None
        return None

    def repo_of(name):
        if name not in hub.repos:
            abort(404, response=refusal(404, "RepoNotFound", "Repository not found"))
        return hub.repos[name]

    @app.post("/api/repos/create")
    def create():
        asked = request.json
        name = f"{asked['organization']}/{asked['name']}"
        if name.startswith("others/"):
            return refusal(
                403, "", "You don't have the rights to create a dataset under the namespace others"
            )
        if name in hub.repos:
            return refusal(409, "", "You already created this dataset repo")
        hub.repos[name] = Repo(asked.get("visibility") == "private")
        attributes = "".join(f"*{end} filter=lfs diff=lfs merge=lfs -text\n" for end in _LARGE)
        hub.repos[name].add("main", {".gitattributes": hub.keep(attributes.encode())}, "initial commit")
        return jsonify(url=f"{hub.url}/datasets/{name}")

    @app.get("/api/datasets/<owner>/<name>")
    @app.get("/api/datasets/<owner>/<name>/revision/<path:revision>")
    def info(owner, name, revision="main"):
        repo = repo_of(f"{owner}/{name}")
        repo.tree(revision)
        return jsonify(id=f"{owner}/{name}", private=repo.private, sha=repo.branches[revision])

    @app.get("/api/datasets/<owner>/<name>/tree/<path:revision>")
    def tree(owner, name, revision):
        found = sorted(repo_of(f"{owner}/{name}").tree(revision).items())
        start = int(request.args.get("cursor", 0))
        reply = jsonify([_described(path, e) for path, e in found[start : start + 3]])
        if start + 3 < len(found):
            reply.headers["Link"] = f'<{request.base_url}?recursive=true&cursor={start + 3}>; rel="next"'
        return reply

    def _described(path, entry):
        if not entry.lfs:
            return {"type": "file", "path": path, "oid": entry.oid, "size": entry.size}
        lfs = {"oid": entry.oid, "size": entry.size, "pointerSize": 134}
        # In git such a file is a small one that points to the other: known by another name.
        pointer = hashlib.sha1(f"pointer to {entry.oid}".encode()).hexdigest()
        return {"type": "file", "path": path, "oid": pointer, "size": entry.size, "lfs": lfs}

    @app.post("/api/datasets/<owner>/<name>/paths-info/<path:revision>")
    def paths_info(owner, name, revision):
        found = repo_of(f"{owner}/{name}").tree(revision)
        return jsonify([_described(p, found[p]) for p in request.form.getlist("paths") if p in found])

    @app.get("/datasets/<owner>/<name>/resolve/<path:rest>")
    def resolve(owner, name, rest):
        repo = repo_of(f"{owner}/{name}")
        revision = max((b for b in repo.branches if rest.startswith(f"{b}/")), key=len)
        path = rest.removeprefix(f"{revision}/")
        entry = repo.tree(revision)[path]
        reply = Response(hub.blobs[entry.oid], mimetype="text/plain")
        reply.headers["ETag"] = f'"{entry.oid}"'
        reply.headers["X-Repo-Commit"] = repo.branches[revision]
        return reply

    @app.route("/api/datasets/<owner>/<name>/branch/<path:branch>", methods=["POST", "DELETE"])
    def branch(owner, name, branch):
        repo = repo_of(f"{owner}/{name}")
        if request.method == "DELETE":
            repo.tree(branch)
            del repo.branches[branch]
        elif branch in repo.branches:
            return refusal(409, "", "Reference already exists")
        else:
            start = request.json.get("startingPoint", "main")
            repo.tree(start)
            repo.branches[branch] = repo.branches.get(start, start)
        return jsonify({})

    @app.post("/api/validate-yaml")
    def validate_yaml():
        if "license: bad" in request.json["content"]:
            reply = jsonify(errors=[{"message": '"license" must be one of'}], warnings=[])
            reply.status_code = 400
            return reply
        return jsonify(errors=[], warnings=[])

    @app.post("/api/datasets/<owner>/<name>/preupload/<path:revision>")
    def preupload(owner, name, revision):
        found = repo_of(f"{owner}/{name}").tree(revision)
        files = []
        for file in request.json["files"]:
            there = found.get(file["path"])
            mode = "lfs" if file["path"].endswith(_LARGE) else "regular"
            oid = there.oid if there else None
            files.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return jsonify(files=files)

    @app.get("/api/datasets/<owner>/<name>/xet-write-token/<path:revision>")
    def xet_token(owner, name, revision):
        return jsonify(accessToken="xet", exp=9_999_999_999, casUrl=hub.cas)

    @app.post("/datasets/<owner>/<name>.git/info/lfs/objects/batch")
    def batch(owner, name):
        repo_of(f"{owner}/{name}")
        return jsonify(objects=[_action(o["oid"], o["size"]) for o in request.json["objects"]])

    def _action(oid, size):
        found = {"oid": oid, "size": size}
        if hub.batch_error:
            return {**found, "error": {"code": 422, "message": hub.batch_error}}
        if oid in hub.large:
            return found
        upload = {"href": f"{hub.url}/store/{oid}"}
        if hub.part_bytes and size > hub.part_bytes:
            parts = range(1, -(-size // hub.part_bytes) + 1)
            upload["header"] = {f"{n:05d}": f"{hub.url}/store/{oid}/{n}" for n in parts}
            upload["header"]["chunk_size"] = str(hub.part_bytes)
        return {**found, "actions": {"upload": upload, "verify": {"href": f"{hub.url}/lfs/verify"}}}

    def _receive(oid, content):
        assert hashlib.sha256(content).hexdigest() == oid
        with hub.lock:
            hub.large[oid] = content
            hub.received.append(oid)

    @app.put("/store/<oid>")
    def put(oid):
        _receive(oid, request.get_data())
        return ""

    @app.put("/store/<oid>/<int:number>")
    def put_part(oid, number):
        hub.parts.setdefault(oid, {})[number] = request.get_data()
        return Response("", headers={"ETag": f'"{oid}-{number}"'})

    @app.post("/store/<oid>")
    def complete(oid):
        parts = hub.parts.pop(oid)
        assert [part["partNumber"] for part in request.json["parts"]] == sorted(parts)
        _receive(oid, b"".join(parts[number] for number in sorted(parts)))
        return jsonify({})

    @app.post("/lfs/verify")
    def verify():
        oid, size = request.json["oid"], request.json["size"]
        return jsonify({}) if len(hub.large.get(oid, b"")) == size else refusal(404, "", "not there")

    @app.post("/api/datasets/<owner>/<name>/commit/<path:branch>")
    def commit(owner, name, branch):
        repo = repo_of(f"{owner}/{name}")
        header, *operations = [json.loads(line) for line in request.get_data().splitlines()]
        tree = dict(repo.tree(branch))
        header = header["value"]
        if header.get("parentCommit") not in (None, repo.branches[branch]):
            return refusal(412, "", "A commit has happened since. Please refresh and try again.")
        known = {e.oid: e for t in repo.commits.values() for e in t.values()}
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "file":
                tree[value["path"]] = hub.keep(base64.b64decode(value["content"]))
            elif operation["key"] == "lfsFile":
                if hub.cas is None and value["oid"] not in hub.large:
                    return refusal(
                        400, "", "Your push was rejected: an LFS pointer points to a file that is missing"
                    )
                size = value["size"] if "size" in value else known[value["oid"]].size
                tree[value["path"]] = Entry(value["oid"], size, lfs=True)
            elif operation["key"] == "deletedFile":
                del tree[value["path"]]
            else:
                abort(400)
        oid = repo.add(branch, tree, header["summary"], header["description"])
        return jsonify(commitUrl=f"{hub.url}/datasets/{owner}/{name}/commit/{oid}", commitOid=oid)

    return app


@contextmanager
def known_only(monkeypatch, folder, url, xet=False):
    """Lets the library know this Hub, a token, and none of the machine's settings; it does not wait between retries."""
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_XET_CACHE", str(folder / "xet"))
    settings = {
        "ENDPOINT": url, "HUGGINGFACE_CO_URL_TEMPLATE": f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
        "HF_TOKEN_PATH": str(folder / "token"), "HF_HUB_DISABLE_XET": not xet, "HF_HUB_OFFLINE": False,
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)
    huggingface_hub.close_session()
    yield
    huggingface_hub.close_session()


@contextmanager
def running(hub):
    """Runs a stand-in in a thread; sets its `url`."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = make_server("127.0.0.1", 0, _app(hub), threaded=True)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
