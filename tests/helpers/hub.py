"""A Hugging Face Hub on localhost that the unmodified huggingface_hub client cannot tell apart.

    with Hub(folder) as hub:                       # folder/ORG/NAME/... are the repositories
        hub.gate("stabilityai/stable-diffusion-3.5-medium", token="good")
        hub.fault("acceptee/DiT4SR/*.safetensors", cut_after=1000, times=2)
        run_cli("models", "pull", "dit4sr-q", env=hub.env(HF_TOKEN="good"))
        assert hub.sent("acceptee/DiT4SR/README.md") == 0
        assert [r.range for r in hub.requests if r.status == 206] == ["bytes=1000-", ...]

For a person: `PYTHONPATH=tests python -m helpers.hub FOLDER` serves until Ctrl-C.

Inside this process the client has read its environment already, so pass `endpoint=hub.url` to it
(HfApi, hf_hub_download, snapshot_download, hf_hub_url) in place of `hub.env()`.

Two hosts, as in reality: the hub (`hub.url`, 127.0.0.1) knows repositories and serves small files;
LFS files (`*.safetensors`, and whatever is above `lfs_above` bytes) are redirected to signed links
on the storage host (`hub.storage_url`, localhost and another port), which answers 400 to a request
that brings an Authorization header along.

Repositories are read once, when the hub starts; `hub.commit(repo)` reads a folder again and makes
a new commit on main, and the earlier commits stay. Contents are held in memory: a few MB.

The client keeps what had arrived when a connection breaks, in steps of 10 MB: to see it resume a
small file, lower huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE. Between two calls it keeps whole
files only. A TCP reset in mid-body (`reset=True`) it does not retry at all.

What the real hub does and this does not: Xet storage (`xet=True` only announces it: clients need
HF_HUB_DISABLE_XET, which `env()` sets), gzip of small files, uploads, data sets and spaces.
A missing repository is 401 for the anonymous, as in reality; the code RepoNotFound is sent with
it, because the client infers it from the status alone only for https.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

HUB, STORAGE = "hub", "storage"
_CHUNK = 1 << 14
_DATE = "2025-01-01T00:00:00.000Z"


@dataclass
class Request:
    """What a client asked for, and what it got.

    `name` is `ORG/NAME/PATH` for a file, on whichever host, and else the path as `api/models/...`.
    `sent` counts the bytes of the answer's body.
    """

    host: str
    method: str
    target: str
    name: str
    range: str | None
    has_token: bool
    agent: str
    status: int = 0
    sent: int = 0


@dataclass
class Fault:
    """Something that goes wrong for the next `times` requests (None: for ever) that match.

    `pattern` is matched (`*` crosses slashes) with Request.name. On its own a GET's fault hits
    the host that sends the bytes, a HEAD's the hub; `host="hub"` hits the redirect to LFS files.
    `hits` counts.
    """

    pattern: str
    times: int | None = 1
    method: str = "GET"
    host: str | None = None
    status: int | None = None
    """Answer with this error; 429 says when to come back, if `retry_after` (seconds) does."""
    retry_after: int | None = None
    message: str = "an error that a test asked for"
    cut_after: int | None = None
    """Hang up after so many bytes of the body, though more were announced."""
    reset: bool = False
    """Hang up with a TCP reset: after `cut_after` bytes, or before any answer."""
    stall_after: int | None = None
    """Send nothing more after so many bytes, and keep the connection until the hub closes."""
    corrupt: bool = False
    """The right number of bytes, of which the last but one is wrong."""
    shorten: int = 0
    """Leave out so many bytes at the end, and announce the length that is left."""
    bytes_per_second: float | None = None
    headers: dict[str, str] = field(default_factory=dict)
    """More headers for the answer; an empty value takes a header away."""
    hits: int = 0


@dataclass(frozen=True)
class Blob:
    """A file of a commit: its bytes and the names that git and LFS give them."""

    data: bytes
    is_lfs: bool

    @property
    def pointer(self) -> bytes:
        """What git itself stores for an LFS file."""
        version = "version https://git-lfs.github.com/spec/v1"
        return f"{version}\noid sha256:{self.sha256}\nsize {len(self.data)}\n".encode()

    @property
    def git_id(self) -> str:
        """The git object's name: of the content, or of the pointer to it."""
        stored = self.pointer if self.is_lfs else self.data
        return sha1(b"blob %d\0" % len(stored) + stored).hexdigest()

    @property
    def sha256(self) -> str:
        """The LFS object's name."""
        return sha256(self.data).hexdigest()

    @property
    def etag(self) -> str:
        """What the hub calls this content."""
        return self.sha256 if self.is_lfs else self.git_id


@dataclass
class Repository:
    """Commits by their hash, and the branches and tags that name some of them."""

    name: str
    commits: dict[str, dict[str, Blob]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    gated_for: set[str] | None = None
    """Tokens with access to the files; None: everybody."""
    private_for: set[str] | None = None
    """Tokens that can see the repository at all; None: everybody."""

    def resolve(self, revision: str) -> str | None:
        """A branch, tag or commit, also abbreviated, to the commit's hash."""
        named = self.branches.get(revision) or self.tags.get(revision)
        if named:
            return named
        found = [commit for commit in self.commits if commit.startswith(revision)]
        return found[0] if len(revision) >= 7 and len(found) == 1 else None


class Hub:
    """The server; see the module's docstring."""

    def __init__(
        self,
        root: Path,
        *,
        tokens: tuple[str, ...] = ("good", "other"),
        lfs_above: int = 1024,
        page_size: int = 1000,
        resolve_cache: bool = True,
        xet: bool = False,
    ) -> None:
        """Read the repositories; `start` or `with` serves them.

        Args:
            root: folder of folders of repositories.
            tokens: accounts that exist; any other token is refused everywhere, as in reality.
            lfs_above: size in bytes above which a file is an LFS file whatever its name.
            page_size: entries of a tree listing in one answer.
            resolve_cache: small files are redirected within the hub, as it has done since 2025.
            xet: announce LFS files as stored in Xet.
        """
        self.root = root
        self.tokens = set(tokens)
        self.lfs_above, self.page_size = lfs_above, page_size
        self.resolve_cache, self.xet = resolve_cache, xet
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.repositories: dict[str, Repository] = {}
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self._servers: list[ThreadingHTTPServer] = []
        for folder in sorted(root.glob("*/*")):
            if folder.is_dir():
                self.commit(f"{folder.parent.name}/{folder.name}")

    # Life

    def start(self) -> Hub:
        """Listen on two free ports."""
        for host in (HUB, STORAGE):
            server = _Server(("127.0.0.1", 0), _Handler)
            server.hub, server.role = self, host
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            self._servers.append(server)
        return self

    def close(self) -> None:
        """Stop; from now on connections are refused."""
        self.closing.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def __enter__(self) -> Hub:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """What goes into HF_ENDPOINT."""
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def storage_url(self) -> str:
        """Where large files are."""
        return f"http://localhost:{self._servers[1].server_port}"

    def env(self, *, timeout: int | None = None, **more: str) -> dict[str, str]:
        """Environment of a process whose huggingface_hub shall talk to this hub.

        Args:
            timeout: seconds until the client gives up on a silent connection (10 by default).
            more: other variables, such as HF_TOKEN.
        """
        env = {
            "HF_ENDPOINT": self.url,
            "HF_HUB_OFFLINE": "0",
            "HF_TOKEN": "",
            "HF_TOKEN_PATH": str(self.root / ".no-token"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1,localhost",
        }
        if timeout is not None:
            env |= {"HF_HUB_DOWNLOAD_TIMEOUT": str(timeout), "HF_HUB_ETAG_TIMEOUT": str(timeout)}
        return env | more

    # What is there, and who may have it

    def commit(self, repo: str, *, branch: str = "main") -> str:
        """Read a repository's folder as it is now: a new commit on a branch; returns its hash."""
        folder = self.root / repo
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files = {path.relative_to(folder).as_posix(): self._blob(path) for path in paths}
        listing = "".join(f"{name} {blob.git_id}\n" for name, blob in files.items())
        sha = sha1(f"commit {repo}\n{listing}".encode()).hexdigest()
        repository = self.repositories.setdefault(repo, Repository(repo))
        repository.commits[sha] = files
        repository.branches[branch] = sha
        return sha

    def tag(self, repo: str, name: str, commit: str | None = None) -> None:
        """Name a commit, by default the newest on main."""
        repository = self.repositories[repo]
        repository.tags[name] = commit or repository.branches["main"]

    def sha(self, repo: str, revision: str = "main") -> str:
        """The hash of a revision's commit."""
        sha = self.repositories[repo].resolve(revision)
        assert sha is not None, f"{repo}: no revision {revision}"
        return sha

    def gate(self, repo: str, *, token: str = "good") -> None:
        """Everybody sees and lists the repository; its files are for `token` alone."""
        self.repositories[repo].gated_for = {token}
        self.tokens.add(token)

    def hide(self, repo: str, *, token: str = "good") -> None:
        """Only `token` can see that the repository exists."""
        self.repositories[repo].private_for = {token}
        self.tokens.add(token)

    # What goes wrong, and what was asked

    def fault(self, pattern: str, **what: object) -> Fault:
        """Switch a fault on; `what` are the fields of Fault. Earlier faults are served first."""
        fault = Fault(pattern, **what)
        self.faults.append(fault)
        return fault

    def mend(self) -> None:
        """Switch all faults off."""
        self.faults.clear()

    def sent(self, pattern: str = "*") -> int:
        """Bytes of files that went out, for names that match."""
        return sum(r.sent for r in self.requests if r.method == "GET" and _matches(r, pattern))

    def fetched(self, pattern: str = "*") -> list[str]:
        """Names of files (ORG/NAME/PATH) of which any byte went out, sorted, each once."""
        return sorted({r.name for r in self.requests if r.sent and _is_file(r, pattern)})

    def forget(self) -> None:
        """Empty the log of requests."""
        self.requests.clear()

    def take_fault(self, request: Request, *, redirects: bool) -> Fault | None:
        """The fault that hits this request, if any; used up by one."""
        with self.lock:
            for fault in self.faults:
                if _fits(fault, request, redirects=redirects):
                    fault.hits += 1
                    return fault
        return None

    def _blob(self, path: Path) -> Blob:
        data = path.read_bytes()
        return Blob(data, path.suffix == ".safetensors" or len(data) > self.lfs_above)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    hub: Hub
    role: str

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    """One connection to either host."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer()

    def _answer(self) -> None:
        self.hub = self.server.hub
        url = urlsplit(self.path)
        self.query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        self.segments = [unquote(part) for part in url.path.strip("/").split("/")]
        self.fault: Fault | None = None
        self.log = Request(
            host=self.server.role,
            method=self.command,
            target=self.path,
            name="/".join(self.segments),
            range=self.headers.get("Range"),
            has_token="Authorization" in self.headers,
            agent=self.headers.get("User-Agent", ""),
        )
        self.hub.requests.append(self.log)
        with suppress(BrokenPipeError, ConnectionResetError):
            self._storage() if self.server.role == STORAGE else self._hub()

    # The hub

    def _hub(self) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.hub.tokens:
            return self._refuse(401, "", "Invalid credentials in Authorization header")
        match self.segments:
            case ["api", "whoami-v2"]:
                return self._whoami(token)
            case ["api", "resolve-cache", "models", org, name, revision, *path]:
                return self._file(f"{org}/{name}", revision, "/".join(path), token, cached=True)
            case ["api", "models", org, name, *rest]:
                return self._api(f"{org}/{name}", rest, token)
            case [org, name, "resolve", revision, *path]:
                return self._file(f"{org}/{name}", revision, "/".join(path), token)
        return self._refuse(404, "", "Sorry, we can't find the page you are looking for.")

    def _whoami(self, token: str) -> None:
        if not token:
            return self._refuse(401, "", "Invalid username or password.")
        return self._json({"type": "user", "name": token, "orgs": [], "auth": {}})

    def _api(self, name: str, rest: list[str], token: str) -> None:
        repository = self._visible(name, token)
        if repository is None:
            return None
        if rest == ["auth-check"]:
            return self._json({}) if self._may_have(repository, token) else None
        if rest == ["refs"]:
            return self._json(_refs(repository))
        sha = repository.resolve(rest[1] if len(rest) > 1 else "main")
        if sha is None:
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {rest[1]}")
        match rest:
            case [] | ["revision", _]:
                return self._json(_info(repository, sha, with_blobs="blobs" in self.query))
            case ["tree", _, *path]:
                return self._tree(repository, sha, "/".join(path))
            case ["paths-info", _]:
                asked = parse_qs(self.body.decode()).get("paths", [])
                entries = _tree(repository.commits[sha], "", is_recursive=True)
                return self._json([entry for entry in entries if entry["path"] in asked])
        return self._refuse(404, "", "Not found")

    def _tree(self, repository: Repository, sha: str, path: str) -> None:
        is_recursive = self.query.get("recursive", "").lower() == "true"
        entries = list(_tree(repository.commits[sha], path, is_recursive=is_recursive))
        if path and not entries:
            return self._refuse(404, "EntryNotFound", f"{path} does not exist on {sha}")
        start = int(self.query.get("cursor", 0))
        end = start + self.hub.page_size
        headers = {}
        if end < len(entries):
            page = f"{self.hub.url}{urlsplit(self.path).path}"
            recursive = f"recursive={str(is_recursive).lower()}"
            headers["Link"] = f'<{page}?{recursive}&cursor={end}>; rel="next"'
        return self._json(entries[start:end], headers)

    def _file(
        self, name: str, revision: str, path: str, token: str, *, cached: bool = False
    ) -> None:
        self.log.name = f"{name}/{path}"
        repository = self._visible(name, token)
        if repository is None:
            return None
        sha = repository.resolve(revision)
        if sha is None:
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        commit = {"X-Repo-Commit": sha}
        if not self._may_have(repository, token):
            return None
        blob = repository.commits[sha].get(path)
        if blob is None:
            return self._refuse(404, "EntryNotFound", "Entry not found", commit)
        if blob.is_lfs:
            return self._redirect(302, self._signed(name, path, blob), blob, commit)
        if self.hub.resolve_cache and not cached:
            inside = f"/api/resolve-cache/models/{name}/{sha}/{quote(path)}?etag=%22{blob.etag}%22"
            return self._redirect(307, inside, blob, commit)
        return self._bytes(blob, commit)

    def _visible(self, name: str, token: str) -> Repository | None:
        """The repository, or None after having said that there is none."""
        repository = self.hub.repositories.get(name)
        hidden = repository is not None and repository.private_for is not None
        if repository is None or (hidden and token not in (repository.private_for or ())):
            if token:
                return self._refuse(404, "RepoNotFound", "Repository not found")
            return self._refuse(401, "RepoNotFound", "Invalid username or password.")
        return repository

    def _may_have(self, repository: Repository, token: str) -> bool:
        """Whether the token opens the gate; if not, this has been said."""
        if repository.gated_for is None or token in repository.gated_for:
            return True
        start = f"Access to model {repository.name} is restricted"
        if token:
            url = f"https://huggingface.co/{repository.name}"
            more = f"and you are not in the authorized list. Visit {url} to ask for access."
            self._refuse(403, "GatedRepo", f"{start} {more}")
        else:
            more = "You must have access to it and be authenticated to access it. Please log in."
            self._refuse(401, "GatedRepo", f"{start}. {more}")
        return False

    def _signed(self, name: str, path: str, blob: Blob) -> str:
        file = f"{name}/{path}"
        query = f"file={quote(file, safe='')}&Expires=9999999999&Signature=by-the-hub"
        return f"{self.hub.storage_url}/repos/{name}/{blob.sha256}?{query}"

    def _redirect(self, status: int, location: str, blob: Blob, headers: dict[str, str]) -> None:
        more = {
            "Location": location,
            "X-Linked-ETag": f'"{blob.etag}"',
            "X-Linked-Size": str(len(blob.data)),
            "Accept-Ranges": "bytes",
        }
        if blob.is_lfs and self.hub.xet:
            route = f"{self.hub.url}/api/models/xet-read-token/main"
            more |= {"X-Xet-Hash": blob.sha256, "X-Xet-Refresh-Route": route}
        if self._struck(redirects=True):
            return
        self._reply(status, b"", headers | more)

    # The storage host

    def _storage(self) -> None:
        self.log.name = self.query.get("file", self.log.name)
        if "Signature" not in self.query:
            return self._refuse(403, "", "Missing Key-Pair-Id query parameter or cookie value")
        if self.log.has_token:
            return self._refuse(400, "", "Only one auth mechanism allowed")
        blob = self._find(self.segments[-1])
        return self._bytes(blob, {}) if blob else self._refuse(404, "", "NoSuchKey")

    def _find(self, digest: str) -> Blob | None:
        for repository in self.hub.repositories.values():
            for files in repository.commits.values():
                for blob in files.values():
                    if blob.is_lfs and blob.sha256 == digest:
                        return blob
        return None

    # Answers

    def _bytes(self, blob: Blob, headers: dict[str, str]) -> None:
        """A file or the range of it that was asked for, and what a fault makes of it."""
        if self._struck(redirects=False):
            return
        data = blob.data
        if self.fault:
            data = _spoilt(data, self.fault)
        headers = {"ETag": f'"{blob.etag}"', "Accept-Ranges": "bytes", **headers}
        headers["Content-Type"] = "application/octet-stream"
        if not self.log.range:
            return self._reply(200, data, headers)
        span = _span(self.log.range, len(data))
        if span is None:
            headers["Content-Range"] = f"bytes */{len(data)}"
            return self._refuse(416, "", "Requested Range Not Satisfiable", headers)
        start, end = span
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        return self._reply(206, data[start:end], headers)

    def _json(self, value: object, headers: dict[str, str] | None = None) -> None:
        if self._struck(redirects=False):
            return
        headers = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
        self._reply(200, json.dumps(value).encode(), headers)

    def _refuse(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        headers = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
        if code:
            headers["X-Error-Code"] = code
        headers["X-Error-Message"] = message
        self._reply(status, json.dumps({"error": message}).encode(), headers)

    def _struck(self, *, redirects: bool) -> bool:
        """Look for a fault; True if it has answered in our place."""
        if self.fault is None:
            self.fault = fault = self.hub.take_fault(self.log, redirects=redirects)
        else:
            return False
        if fault is None:
            return False
        if fault.reset and fault.cut_after is None:
            self._hang_up(with_reset=True)
            return True
        if fault.status is None:
            return False
        headers = {}
        if fault.retry_after is not None:
            headers["Retry-After"] = str(fault.retry_after)
        if fault.status == 429:
            headers["RateLimit"] = f'"resolvers";r=0;t={fault.retry_after or 0}'
            headers["RateLimit-Policy"] = '"fixed window";"resolvers";q=3000;w=300'
        self._refuse(fault.status, "", fault.message, headers)
        return True

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.log.status = status
        if self.fault:
            headers = headers | self.fault.headers
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self._send(body)

    def _send(self, body: bytes) -> None:
        fault = self.fault or Fault("")
        stop = next((n for n in (fault.cut_after, fault.stall_after) if n is not None), len(body))
        speed = fault.bytes_per_second
        for chunk in _chunks(body[:stop], speed):
            self.wfile.write(chunk)
            self.log.sent += len(chunk)
            if speed and self.hub.closing.wait(len(chunk) / speed):
                break
        self.wfile.flush()
        if fault.stall_after is not None:
            self._stall()
        if fault.cut_after is not None:
            self._hang_up(with_reset=fault.reset)

    def _stall(self) -> None:
        """Say nothing until the hub closes or the client gives up."""
        self.close_connection = True
        self.connection.settimeout(0.1)
        while not self.hub.closing.is_set():
            with suppress(TimeoutError):
                if not self.connection.recv(1):
                    return

    def _hang_up(self, *, with_reset: bool) -> None:
        self.close_connection = True
        if with_reset:
            time.sleep(0.05)  # a reset overtakes bytes that the client has not read yet
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.server.close_request(self.connection)
        else:
            self.connection.shutdown(socket.SHUT_RDWR)


def _matches(request: Request, pattern: str) -> bool:
    return fnmatchcase(request.name, pattern)


def _fits(fault: Fault, request: Request, *, redirects: bool) -> bool:
    """Whether the fault still has to happen, and to this request."""
    if fault.times is not None and fault.hits >= fault.times:
        return False
    if fault.method != request.method or not _matches(request, fault.pattern):
        return False
    if fault.host is not None:
        return fault.host == request.host
    return request.method == "HEAD" or not redirects


def _is_file(request: Request, pattern: str) -> bool:
    is_answer = request.method == "GET" and request.status in (200, 206)
    return is_answer and not request.name.startswith("api/") and _matches(request, pattern)


def _spoilt(data: bytes, fault: Fault) -> bytes:
    if fault.corrupt and data:
        place = max(0, len(data) - 2)
        data = data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]
    return data[: len(data) - fault.shorten]


def _span(text: str, size: int) -> tuple[int, int] | None:
    """`bytes=FIRST-LAST`, either may be left out, as [start, end); None: not in this file."""
    first, _, last = text.removeprefix("bytes=").partition("-")
    if not first:
        return max(0, size - int(last)), size
    start = int(first)
    end = min(size, int(last) + 1) if last else size
    return (start, end) if start < end else None


def _chunks(body: bytes, bytes_per_second: float | None) -> Iterator[bytes]:
    step = max(1, int(bytes_per_second / 20)) if bytes_per_second else _CHUNK
    for start in range(0, len(body), step):
        yield body[start : start + step]


def _info(repository: Repository, sha: str, *, with_blobs: bool) -> dict[str, object]:
    files = repository.commits[sha]
    siblings: list[dict[str, object]] = []
    for path, blob in files.items():
        siblings.append({"rfilename": path})
        if not with_blobs:
            continue
        siblings[-1] |= {"blobId": blob.git_id, "size": len(blob.data)}
        if blob.is_lfs:
            lfs = {"sha256": blob.sha256, "size": len(blob.data), "pointerSize": len(blob.pointer)}
            siblings[-1]["lfs"] = lfs
    card = _card(files.get("README.md"))
    return {
        "_id": sha[:24],
        "id": repository.name,
        "modelId": repository.name,
        "author": repository.name.split("/")[0],
        "sha": sha,
        "lastModified": _DATE,
        "createdAt": _DATE,
        "private": repository.private_for is not None,
        "gated": "auto" if repository.gated_for is not None else False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [f"license:{card['license']}"] if "license" in card else [],
        "cardData": card,
        "siblings": siblings,
        "spaces": [],
        "usedStorage": sum(len(blob.data) for blob in files.values()),
    }


def _card(readme: Blob | None) -> dict[str, object]:
    """The YAML at the head of a README: simple `key: value` lines are enough here."""
    parts = readme.data.decode().split("---\n") if readme else []
    if len(parts) < 3 or parts[0]:
        return {}
    pairs = (line.partition(":") for line in parts[1].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs if value.strip()}


def _tree(files: dict[str, Blob], path: str, *, is_recursive: bool) -> Iterator[dict[str, object]]:
    """Files and folders below a path, in the order of their names."""
    start = f"{path}/" if path else ""
    folders: set[str] = set()
    for name, blob in files.items():
        if not name.startswith(start):
            continue
        parents = name[len(start) :].split("/")[:-1]
        for depth in range(1, len(parents) + 1 if is_recursive else min(len(parents), 1) + 1):
            folder = start + "/".join(parents[:depth])
            if folder not in folders:
                folders.add(folder)
                oid = sha1(folder.encode()).hexdigest()
                yield {"type": "directory", "oid": oid, "size": 0, "path": folder}
        if parents and not is_recursive:
            continue
        entry = {"type": "file", "oid": blob.git_id, "size": len(blob.data), "path": name}
        if blob.is_lfs:
            entry["lfs"] = {
                "oid": blob.sha256,
                "size": len(blob.data),
                "pointerSize": len(blob.pointer),
            }
        yield entry


def _refs(repository: Repository) -> dict[str, object]:
    def listed(names: dict[str, str], kind: str) -> list[dict[str, str]]:
        return [
            {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": sha}
            for name, sha in names.items()
        ]

    return {
        "branches": listed(repository.branches, "heads"),
        "tags": listed(repository.tags, "tags"),
        "converts": [],
    }


def main(root: Path) -> None:
    """Serve, and say what to put into the environment of the client."""
    with Hub(root) as hub:
        lines = [f"export {name}={value}" for name, value in hub.env().items()]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
