"""Raw requests of those who should not get in, and of those who send what they should not."""

from __future__ import annotations

import stat
import subprocess
from urllib.parse import quote

import pytest
from helpers import images
from helpers.cli import command, environment, run_cli
from helpers.page import running, send

pytest.importorskip("nicegui", reason="needs nicegui: the ui extra")

PICTURE = images.jpeg_bytes()
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with running(tmp_path_factory.mktemp("ui"), "--max-megapixels", "1") as page:
        yield page


def sent_as(page, name: str, body: bytes = PICTURE, **headers):
    return page.ask("/photos", "POST", body, X_Name=quote(name), **headers)


def shake_hands(page, **headers: str | None) -> int:
    return page.ask(SOCKET, **{**HANDSHAKE, "Origin": page.origin, **headers}).status


def test_the_token_becomes_a_cookie_that_scripts_cannot_read(page):
    entered = page.ask(f"/?token={page.token}", Cookie=None)
    assert entered.status == 200
    kept = entered.headers["set-cookie"]
    assert kept == f"{page.cookie}; Path=/; HttpOnly; SameSite=Strict"
    assert page.token.encode() not in entered.body
    shown = page.ask("/")
    assert b"dit4sr" in shown.body
    assert "default-src 'self'" in shown.headers["content-security-policy"]
    assert shown.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("cookie", [None, "", "dit4sr=1", "dit4sr-{port}=wrong", "=;;;\x00"])
@pytest.mark.parametrize("path", ["/", "/photos/x/before.jpg", "/_nicegui/x", "/nowhere"])
def test_nothing_without_the_token(page, path, cookie):
    if cookie and "\x00" in cookie:
        cookie = "=;;;"
    answer = page.ask(path, Cookie=cookie and cookie.format(port=page.port))
    assert answer.status == 403
    assert answer.body.count(b"\n") == 1


def test_a_wrong_token_does_not_open_even_with_the_cookie(page):
    assert page.ask("/?token=wrong", Cookie=None).status == 403
    assert page.ask("/?token=wrong").status == 403
    assert sent_as(page, "a.jpg", Cookie=None).status == 403
    assert shake_hands(page, Cookie=None) == 403
    assert page.ask("/photos", "POST", PICTURE, Cookie=None, X_Name="a.jpg").status == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "[::1", "10.0.0.1", ""])
def test_another_host_is_refused(page, host):
    """Its name may have been made to point here."""
    assert page.ask("/", Host=host).status in (400, 421)
    assert sent_as(page, "a.jpg", Host=host, Origin=f"http://{host}").status in (400, 421)
    assert shake_hands(page, Host=host, Origin=f"http://{host}") in (400, 421, 403)


def test_its_own_names_are_not(page):
    for host in (f"localhost:{page.port}", "127.0.0.1", f"[::1]:{page.port}"):
        assert page.ask("/", Host=host).status == 200
    headers = {"Cookie": page.cookie}
    assert send(page.port, "GET", "/", None, headers).status in (400, 421)  # names none


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "http://127.0.0.1:1", "http://127.0.0.1", "%"]
)
def test_other_pages_are_refused(page, origin):
    """Those of other ports, too: to a cookie they are the same site."""
    assert sent_as(page, "a.jpg", Origin=origin).status == 403
    assert shake_hands(page, Origin=origin) == 403
    assert page.files() == []


def test_its_own_socket_opens(page):
    assert shake_hands(page) == 101


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Length": str(10**13)}, 413),
        ({"Content_Length": "80000000"}, 413),
        ({"Content_Length": "-5"}, 400),
        ({"Content_Length": "x"}, 400),
        ({"Transfer_Encoding": "chunked"}, 411),
    ],
)
def test_what_is_too_large_is_not_even_read(page, headers, status):
    given = {"Content-Length": None, **headers}
    assert page.ask("/photos", "POST", None, X_Name="a.jpg", **given).status == status
    assert page.files() == []


def test_messages_have_to_be_small(page):
    answer = page.ask("/_nicegui/x", "POST", None, Content_Length=str(2 << 20))
    assert answer.status == 413


@pytest.mark.parametrize(
    "name",
    [
        *("../../evil.jpg", "/etc/evil.jpg", "..\\..\\evil.jpg", "C:\\Windows\\evil.jpg"),
        *("a/../../evil.jpg", "./evil.jpg", "//server/share/evil.jpg", "file:///evil.jpg"),
    ],
)
def test_a_name_is_no_way_out(page, name):
    before = set(page.files())
    assert sent_as(page, name).status == 200
    (path,) = set(page.files()) - before
    assert path.name == "evil.jpg"
    assert path.parents[2] == page.private
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/", "a\0b.jpg", "a\nb.jpg", "\x1b[2J.jpg", "‮gpj.exe", "x" * 300]
)
def test_no_name_at_all(page, name):
    before = set(page.files())
    answer = sent_as(page, name)
    assert answer.status == 415
    assert b"name" in answer.body
    assert set(page.files()) == before


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("notes.txt", b"Dear diary, " * 100, "not a picture"),
        ("evil.jpg", b"<html><script>alert(1)</script>" * 20, "not a picture"),
        ("evil.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>" * 20, "not a picture"),
        ("short.png", b"abc", "not a picture"),
        ("empty.png", b"", "empty"),
        ("paper.pdf", b"%PDF-1.7" + bytes(500), "PDF"),
        ("raw.cr3", b"\0\0\0\x18ftypcrx " + bytes(500), "raw camera file"),
        ("half.png", b"\x89PNG\r\n\x1a\n" + bytes(300), "half.png"),
    ],
)
def test_what_is_no_picture_is_refused_in_a_line(page, name, body, said):
    before = set(page.files())
    answer = sent_as(page, name, body)
    assert answer.status == 415
    text = answer.body.decode()
    assert name in text
    assert said in text
    assert str(page.temporary) not in text
    assert set(page.files()) == before


def test_too_many_pixels(page, tmp_path):
    picture = images.save(tmp_path / "large.png", 1200, 1000)
    answer = sent_as(page, "large.png", picture.read_bytes())
    assert answer.status == 415
    assert b"megapixels" in answer.body


@pytest.mark.parametrize(
    "path",
    [
        *("/photos/../../etc/passwd", "/photos/x/..%2f..%2fetc%2fpasswd.jpg", "/%2e%2e/etc/passwd"),
        *("/photos/%00/before.jpg", "/photos/x/result/1", "/photos/x/result/..%2f1"),
        *("/docs", "/redoc", "/openapi.json", "/_nicegui/../../../etc/passwd"),
    ],
)
def test_addresses_that_are_none(page, path):
    answer = page.ask(path)
    assert answer.status in (404, 422)
    assert b"root:" not in answer.body


def test_a_picture_is_shown_and_not_run(page):
    key = sent_as(page, "photo.jpg").body.decode().split('"')[3]
    answer = page.ask(f"/photos/{key}/before.jpg")
    assert answer.headers["content-type"] == "image/jpeg"
    assert images.size_of(answer.body) == (24, 16)
    assert page.ask(f"/photos/{key}/trial-0-before.jpg").status == 404
    assert page.ask(f"/photos/{key}/after-1.jpg").status == 404
    assert page.ask(f"/photos/{key}/result/1").status == 404


def test_only_its_owner_may_look(page):
    assert stat.S_IMODE(page.private.stat().st_mode) == 0o700


def test_a_port_that_is_taken(page):
    done = run_cli("ui", "--no-open", "--port", str(page.port))
    assert done.code == 2
    assert done.lines == [
        f"error: 127.0.0.1 port {page.port}: Address already in use "
        "(another port with --port, or --port 0 for any that is free)"
    ]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--host", "192.0.2.1"), 2, "192.0.2.1 port 8430: Cannot assign requested address"),
        (("--host", "nowhere.invalid"), 2, "nowhere.invalid port 8430: "),
        (("--port", "70000"), 2, "less than or equal to 65535"),
        (("--model", "nona"), 5, "nona: no such model"),
        (("--captioner", "nobody"), 5, "nobody: no such captioner"),
    ],
)
def test_what_cannot_be_started_says_so_in_a_line(args, code, said, tmp_path):
    done = run_cli("ui", "--no-open", "-q", *args, env={"TMPDIR": str(tmp_path)})
    assert done.code == code
    (line,) = done.lines
    assert said in line
    assert list(tmp_path.iterdir()) == []


def test_without_a_token_it_warns_and_still_refuses_others(tmp_path):
    argv = command("ui", "--no-open", "--port", "0", "--no-token")
    process = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    url = process.stdout.readline().strip()
    try:
        assert "token" not in url
        port = int(url.strip("/").rpartition(":")[2])
        host = f"127.0.0.1:{port}"
        assert send(port, "GET", "/", None, {"Host": host}).status == 200
        assert send(port, "GET", "/", None, {"Host": "evil.example"}).status == 421
        evil = {"Host": host, "Origin": "http://evil.example", "X-Name": "a.jpg"}
        assert send(port, "POST", "/photos", PICTURE, evil).status == 403
    finally:
        process.terminate()
        said = process.communicate(timeout=30)[1]
    assert process.returncode == 143
    assert "warning: --no-token" in said


def test_the_toolkit_is_missing():
    done = run_cli("ui", "--no-open", faults=["no_nicegui"])
    assert done.code == 2
    assert done.lines == ["error: the page needs the package nicegui (pip install 'dit4sr[ui]')"]
