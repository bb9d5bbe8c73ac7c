"""A real `dit4sr ui` in a process of its own, and raw requests to it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from helpers.cli import command, environment

EPOCH = {"SOURCE_DATE_EPOCH": "1000000000"}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Page:
    """A page that runs; `private` is where it keeps what it was given."""

    process: subprocess.Popen[str]
    url: str
    temporary: Path

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80

    @property
    def token(self) -> str:
        return parse_qs(urlsplit(self.url).query)["token"][0]

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def cookie(self) -> str:
        return f"dit4sr-{self.port}={self.token}"

    @property
    def private(self) -> Path:
        (folder,) = self.temporary.glob("dit4sr-ui-*")
        return folder

    def files(self) -> list[Path]:
        """All that was put anywhere below the folder for temporary files."""
        return [path for path in self.temporary.rglob("*") if path.is_file()]

    def ask(
        self,
        path: str = "/",
        method: str = "GET",
        body: bytes | None = None,
        **headers: str | None,
    ) -> Answer:
        """As the page itself would ask; a header that is None is left out, `_` is `-`."""
        usual = {"Host": urlsplit(self.origin).netloc, "Cookie": self.cookie}
        if method != "GET":
            usual["Origin"] = self.origin
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return send(self.port, method, path, body, {**usual, **given})


def send(
    port: int, method: str, path: str, body: bytes | None, headers: Mapping[str, str | None]
) -> Answer:
    """A request with these headers and no others, but for the length of what is sent."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    kept = {name: value for name, value in headers.items() if value is not None}
    if body is not None and "Content-Length" not in headers:
        kept["Content-Length"] = str(len(body))
    for name, value in kept.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    found = Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    connection.close()
    return found


@contextmanager
def running(folder: Path, *args: str) -> Iterator[Page]:
    """Start it, with folders of its own; in the end it is told to stop, if it still runs."""
    temporary, home, here = (folder / name for name in ("tmp", "home", "here"))
    for path in (temporary, home, here):
        path.mkdir()
    env = environment({"TMPDIR": str(temporary), "DIT4SR_HOME": str(home), **EPOCH})
    argv = command("ui", "--no-open", "--port", "0", "--json", *args)
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=here
    )
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield Page(process, json.loads(line)["url"], temporary)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert list(here.iterdir()) == []  # nothing is put where it was started
