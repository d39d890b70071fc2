"""Servers on 127.0.0.1 that behave as badly as real ones, and archives to serve."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
import threading
import time
import zipfile
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import numpy as np

_PIECE = 16384


class FileServer:
    """Serves `files`; `script[path]` is a list of what happens to the next requests before all goes well.

    A step is ("status", code, headers), ("cut", bytes), ("page",), ("redirect", url) or ("range", headers).
    """

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.script: dict[str, list[tuple]] = {}
        self.ranges = True
        self.etag = True
        self.length = True
        self.bytes_per_second = None
        self.sent: Counter[str] = Counter()
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.url = ""

    @property
    def total_sent(self):
        return sum(self.sent.values())

    def answer(self, handler):
        path = unquote(urlsplit(handler.path).path)
        self.requests.append((handler.command, path, dict(handler.headers)))
        step = self.script[path].pop(0) if self.script.get(path) else ("well",)
        if step[0] == "status":
            return self.status(handler, step[1], step[2])
        if step[0] == "redirect":
            return self.status(handler, 302, {"Location": step[1]})
        if step[0] == "page":
            page = b"<!DOCTYPE html><html><title>Sign in please</title></html>"
            return self.send(handler, path, 200, page, {"Content-Type": "text/html"})
        if path not in self.files:
            return self.status(handler, 404, {})
        return self.file(handler, path, step)

    def status(self, handler, code, headers):
        handler.send_response(code)
        for name, value in {"Content-Length": "0", **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()

    def file(self, handler, path, step):
        content = self.files[path]
        tag = f'"{hashlib.md5(content).hexdigest()}"'
        headers = {"ETag": tag} if self.etag else {}
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        same = handler.headers.get("If-Range", tag) == tag
        code, first = 200, 0
        if asked and self.ranges and same:
            first = int(asked[1])
            if first >= len(content):
                return self.status(handler, 416, {"Content-Range": f"bytes */{len(content)}"})
            code = 206
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        if step[0] == "range":
            headers.update(step[1])
        if self.ranges:
            headers["Accept-Ranges"] = "bytes"
        return self.send(handler, path, code, content[first:], headers, step[1] if step[0] == "cut" else None)

    def send(self, handler, path, code, body, headers, cut=None):
        handler.send_response(code)
        if self.length:
            handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        for begin in range(0, len(body), _PIECE):
            piece = body[begin : begin + _PIECE]
            if cut is not None and begin + len(piece) > cut:
                handler.wfile.write(piece[: cut - begin])
                self.sent[path] += cut - begin
                break
            handler.wfile.write(piece)
            self.sent[path] += len(piece)
            if self.bytes_per_second:
                time.sleep(len(piece) / self.bytes_per_second)
        handler.wfile.flush()
        handler.close_connection = True


class KaggleServer(FileServer):
    """A stand-in of the Kaggle API: `datasets` maps OWNER/NAME to the bytes of its archive."""

    def __init__(self):
        super().__init__()
        self.datasets: dict[str, bytes] = {}
        self.refuse: dict[str, int] = {}

    def answer(self, handler):
        if handler.command == "GET":
            return super().answer(handler)
        asked = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        slug = f"{asked['ownerSlug']}/{asked['datasetSlug']}"
        self.requests.append(("POST", handler.path, dict(handler.headers)))
        if slug in self.refuse or slug not in self.datasets:
            return self.status(handler, self.refuse.get(slug, 404), {})
        if handler.path.endswith("/GetDataset"):
            body = json.dumps({"ref": slug, "currentVersionNumber": 3}).encode()
            return self.send(handler, handler.path, 200, body, {"Content-Type": "application/json"})
        self.files[f"/store/{slug}.zip"] = self.datasets[slug]
        return self.status(handler, 302, {"Location": f"{self.url}/store/{slug}.zip"})


@contextmanager
def running(server):
    """Runs a server in a thread; sets its `url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            try:
                server.answer(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        do_POST = do_GET  # noqa: N815

        def log_message(self, *words):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def noise(size, seed=0):
    """Bytes that do not compress, as in JPEG files."""
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8).tobytes()


def zip_of(files):
    """A zip archive of name -> bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tgz_of(files, entries=(), level=6):
    """A gzipped tar archive of name -> bytes, and of further `TarInfo`s."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for entry in entries:
            archive.addfile(entry)
    return gzip.compress(buffer.getvalue(), level, mtime=0)


def tree(folder):
    """Relative path -> bytes of the files below a folder, hidden and bookkeeping ones left out."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    names = ((p, p.relative_to(folder).as_posix()) for p in files)
    return {name: p.read_bytes() for p, name in names if not name.startswith(".") and name != "download.json"}
