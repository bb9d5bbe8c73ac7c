"""`dit4sr models` against a hub on localhost: what is fetched, what is said, what is kept."""

from __future__ import annotations

import json
import os
import pty
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from helpers import repositories
from helpers.cli import command, environment, run_cli
from helpers.hub import Hub
from helpers.repositories import DIT4SR, LARGE, SD35, SMOLVLM

from dit4sr_cli.core.errors import ExitCode
from dit4sr_cli.weights.inventory import entries
from dit4sr_cli.weights.manifest import read_manifest
from dit4sr_cli.weights.resolve import resolve
from dit4sr_cli.weights.shelf import look_up
from dit4sr_cli.weights.verify import verify_part

Q = f"{DIT4SR}/dit4sr_q/transformer/diffusion_pytorch_model.safetensors"
F = f"{DIT4SR}/dit4sr_f/transformer/diffusion_pytorch_model.safetensors"
AGAIN = "run the same command again: what has arrived is kept"


class Machine:
    """A home of its own, and the hub that its commands talk to."""

    def __init__(self, home: Path, hub: Hub) -> None:
        self.home, self.hub = home, hub
        self.models = home / "models"

    def env(self, **more):
        return self.hub.env(**{"DIT4SR_HOME": str(self.home), "HF_TOKEN": "good", **more})

    def run(self, *args, **env):
        return run_cli("models", *args, env=self.env(**env))

    def ok(self, *args, **env):
        done = self.run(*args, **env)
        assert done.code == 0, done.stderr
        return done

    def pull(self, *args, **env):
        return self.ok("pull", *args, "--accept-licence", **env)

    def refused(self, code, *words, args=("pull", "dit4sr-q", "--accept-licence"), **env):
        done = self.run(*args, **env)
        assert (done.code, done.stdout) == (code, b""), done.stderr
        (line,) = done.lines
        assert line.startswith("error: ")
        for word in words:
            assert word in line
        return line

    def json(self, *args):
        return json.loads(self.ok(*args, "--json").stdout)

    def states(self):
        return {entry.name: entry.state for entry in entries()}

    def manifest(self, name):
        return read_manifest(self.models / name)

    def is_good(self, *names):
        return not any(verify_part(look_up(name)).problems for name in names)

    def partial(self, name="dit4sr-q"):
        return sum(path.stat().st_size for path in (self.models / name / ".partial").glob("*"))


@pytest.fixture
def machine(tmp_path, monkeypatch):
    monkeypatch.setenv("DIT4SR_HOME", str(tmp_path / "home"))
    with Hub(repositories.build(tmp_path / "hub")) as hub:
        hub.gate(SD35, token="good")
        yield Machine(tmp_path / "home", hub)


# What is fetched


def test_a_pull_takes_what_the_model_needs(machine):
    assert machine.states()["dit4sr-q"] == "not pulled"
    done = machine.pull()
    assert done.stdout == b""
    assert "dit4sr models pull qwen3-vl-2b" in done.lines[-1]
    fetched = {name.removeprefix(f"{SD35}/") for name in machine.hub.fetched(f"{SD35}/*")}
    assert fetched == {
        "LICENSE.md",
        "scheduler/scheduler_config.json",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
        *(f"tokenizer{n}/tokenizer_config.json" for n in ("", "_2", "_3")),
        *(f"text_encoder{n}/config.json" for n in ("", "_2", "_3")),
        *(f"text_encoder{n}/model.fp16.safetensors" for n in ("", "_2", "_3")),
    }
    assert machine.hub.fetched(f"{DIT4SR}/*") == [Q.replace(Path(Q).name, "config.json"), Q]
    source = machine.hub.root / Q
    assert (machine.models / "dit4sr-q" / Q.removeprefix(f"{DIT4SR}/")).read_bytes() == (
        source.read_bytes()
    )
    assert machine.states()["dit4sr-q"] == machine.states()["sd3.5-medium"] == "pulled"
    assert machine.json("list")["auto"] == "dit4sr-q"
    assert not list(machine.models.rglob(".partial"))


def test_the_hub_is_asked_once_a_repository_and_once_a_file(machine):
    machine.pull("dit4sr-q", "dit4sr-f")
    asked = [r.name for r in machine.hub.requests if r.method == "GET" and r.host == "hub"]
    infos = [name for name in asked if name.startswith("api/models/")]
    assert len(infos) == 2
    bodies = [r.name for r in machine.hub.requests if r.sent and r.status == 200]
    assert len(bodies) == len(set(bodies))


def test_a_second_pull_asks_nobody(machine):
    machine.pull()
    machine.hub.forget()
    done = machine.ok("pull", HF_TOKEN="")
    assert machine.hub.requests == []
    assert "already here" in done.stderr


def test_the_base_is_shared(machine):
    machine.pull()
    machine.hub.forget()
    machine.pull("dit4sr-f")
    assert machine.hub.fetched(f"{SD35}/*") == []
    assert resolve("dit4sr-f").base == machine.models / "sd3.5-medium"


def test_without_t5_and_then_with_it(machine):
    machine.pull("--no-t5")
    assert not [name for name in machine.hub.fetched() if "_3/" in name]
    assert machine.states()["dit4sr-q"] == "pulled"
    machine.hub.forget()
    machine.pull()  # as it was
    assert machine.hub.requests == []
    machine.pull("--t5")
    assert [name for name in machine.hub.fetched() if "_3/" not in name] == []
    machine.hub.forget()
    machine.pull("--no-t5")  # what is here is not thrown away
    assert machine.hub.requests == []
    assert machine.is_good("sd3.5-medium")


def test_dtype_chooses_the_weights_and_the_others_go(machine):
    machine.pull("sd3.5-medium")
    machine.hub.forget()
    machine.pull("sd3.5-medium", "--dtype", "fp32")
    assert len(machine.hub.fetched()) == 3
    names = {path.name for path in (machine.models / "sd3.5-medium").glob("text_encoder*/*")}
    assert names == {"config.json", "model.safetensors"}


def test_captioner_comes_along(machine):
    done = machine.pull("dit4sr-f", "--captioner", "smolvlm")
    assert "no captioner" not in done.stderr
    assert machine.json("list")["captioner"] == "smolvlm"
    folder = machine.ok("path", "smolvlm").stdout.decode().strip()
    assert Path(folder) == machine.models / "smolvlm"


def test_a_revision_is_pinned(machine):
    hub = machine.hub
    first = hub.sha(DIT4SR)
    hub.tag(DIT4SR, "v1")
    repositories.weights(hub.root / F, 900, seed="new")
    second = hub.commit(DIT4SR)
    machine.pull("dit4sr-f", "--revision", "v1")
    part = machine.manifest("dit4sr-f")
    assert (part.revision, part.commit) == ("v1", first)
    hub.forget()
    machine.pull("dit4sr-f")
    assert hub.requests == []
    machine.pull("dit4sr-f", "--revision", "main")
    assert hub.fetched() == [F]
    assert machine.manifest("dit4sr-f").commit == second
    base = hub.sha(SD35)
    machine.pull("dit4sr-f", "--revision", f"sd3.5-medium={base}")
    machine.refused(
        ExitCode.USAGE,
        "of which of dit4sr-f, smolvlm",
        args=("pull", "dit4sr-f", "smolvlm", "--revision", "v1", "--accept-licence"),
    )


# What breaks


def test_interrupted_and_resumed(machine):
    machine.hub.fault(Q, bytes_per_second=1_500_000)
    args = command("models", "pull", "dit4sr-q", "--accept-licence")
    process = subprocess.Popen(args, env=environment(machine.env()), stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while machine.partial() < 1 << 20 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    _, stderr = process.communicate(timeout=30)
    assert time.monotonic() - started < 4
    assert (process.returncode, stderr) == (130, b"error: interrupted\n")
    kept = machine.partial()
    assert kept >= 1 << 20
    assert machine.states()["dit4sr-q"] == "partly pulled"
    line = machine.refused(ExitCode.MODEL, "only partly", args=("path", "dit4sr-q"))
    assert "dit4sr models pull dit4sr-q" in line
    machine.hub.mend()
    machine.hub.forget()
    machine.pull()
    (request,) = [r for r in machine.hub.requests if r.name == Q and r.sent]
    assert (request.range, request.status) == (f"bytes={kept}-", 206)
    assert machine.is_good("dit4sr-q", "sd3.5-medium")


BREAKS = [
    {"cut_after": 2 << 20},
    {"cut_after": 2 << 20, "reset": True},
    {"stall_after": 2 << 20},
]


@pytest.mark.parametrize("fault", BREAKS)
def test_a_broken_connection_is_mended(machine, fault):
    machine.hub.fault(Q, **fault)
    machine.pull(HF_HUB_DOWNLOAD_TIMEOUT="1")
    ranges = [r.range for r in machine.hub.requests if r.name == Q and r.sent]
    assert ranges[0] is None
    assert ranges[1].startswith("bytes=") and int(ranges[1][6:-1]) >= 1 << 20
    assert machine.is_good("dit4sr-q")


def test_a_wrong_checksum_is_fetched_once_more(machine):
    machine.hub.fault(Q, corrupt=True)
    machine.pull()
    assert machine.hub.sent(Q) >= 2 * LARGE
    assert machine.is_good("dit4sr-q")


def test_the_hub_is_busy_for_a_moment(machine):
    machine.hub.fault(Q, status=503, times=1)
    machine.hub.fault("api/models/*", status=500, times=1)
    machine.hub.fault(F, status=429, retry_after=0, times=1)
    machine.pull("dit4sr-q", "dit4sr-f")


QUICK = {"HF_HUB_DOWNLOAD_TIMEOUT": "1", "HF_HUB_ETAG_TIMEOUT": "1"}
FAULTS = {
    "checksum": (Q, {"corrupt": True}, "twice its checksum was wrong"),
    "always cut": (Q, {"cut_after": 0}, "the connection broke"),
    "always reset": (Q, {"reset": True}, "the connection broke"),
    "stalled": (Q, {"stall_after": 0}, "the connection broke"),
    "server error": (Q, {"status": 500}, "the hub answers with error 500"),
    "silent": ("api/models/*", {"stall_after": 0}, "the connection broke"),
    "list error": ("api/models/*", {"status": 502}, "the hub answers with error 502"),
    "forbidden": (Q, {"status": 403}, "your token may not read it"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_line_and_what_arrived_is_kept(machine, name):
    pattern, fault, words = FAULTS[name]
    machine.hub.fault(pattern, times=None, **fault)
    hint = "kept" if name != "forbidden" else "see https://"
    args = ("pull", "dit4sr-q", "--accept-licence", "--jobs", "1")
    machine.refused(ExitCode.NETWORK, words, hint, args=args, **QUICK)
    assert machine.states()["dit4sr-q"] != "pulled"


def test_too_many_requests(machine):
    machine.hub.fault(Q, status=429, retry_after=0, times=None)
    machine.refused(ExitCode.NETWORK, "asks for patience (429)", AGAIN)


def test_a_closed_gate_is_said_before_anything_is_fetched(machine):
    line = machine.refused(ExitCode.NETWORK, SD35, "there is no token", "HF_TOKEN", HF_TOKEN="")
    assert f"accept the licence on https://huggingface.co/{SD35}" in line
    machine.refused(ExitCode.NETWORK, "your token has no access yet", HF_TOKEN="other")
    machine.refused(ExitCode.NETWORK, "the hub does not know your token", HF_TOKEN="wrong")
    assert machine.hub.fetched() == []


def test_what_is_not_on_the_hub(machine):
    args = ("pull", "dit4sr-q", "--accept-licence", "--revision", "v9")
    machine.refused(ExitCode.MODEL, "no revision v9", "--revision", args=args)
    args = ("pull", "llava-1.5-7b", "--accept-licence")
    machine.refused(ExitCode.MODEL, "llava-hf/llava-1.5-7b-hf", "no such repository", args=args)
    args = ("pull", "dit4sr-r1", "--accept-licence")
    machine.refused(ExitCode.MODEL, "nothing in dit4sr_r1/transformer/ is there", args=args)
    args = ("pull", "dit4sr_q")
    machine.refused(ExitCode.MODEL, "did you mean dit4sr-q?", args=args)
    machine.refused(ExitCode.USAGE, "comes with dit4sr", args=("pull", "nano"))
    assert machine.hub.fetched() == []
    assert not (machine.models / "dit4sr-r1").exists()


def test_no_network(machine):
    machine.refused(ExitCode.NETWORK, "HF_HUB_OFFLINE is set", "--from", HF_HUB_OFFLINE="1")
    assert machine.hub.requests == []
    gone = "http://127.0.0.1:9"
    machine.refused(ExitCode.NETWORK, "cannot be reached", "Connection refused", HF_ENDPOINT=gone)
    elsewhere = machine.hub.storage_url
    machine.refused(ExitCode.NETWORK, "acceptee/DiT4SR", HF_ENDPOINT=elsewhere)


def test_a_disk_that_fills_keeps_what_is_written(machine):
    """A file size limit is a full disk that root feels too."""
    limit = 2 << 20
    done = subprocess.run(
        command("models", "pull", "dit4sr-q", "--accept-licence"),
        env=environment(machine.env(PYTHONDONTWRITEBYTECODE="1")),
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        check=False,
    )
    (line,) = done.stderr.decode().splitlines()
    assert done.returncode == ExitCode.OUTPUT
    assert f"{Path(Q).name}: File too large" in line and "what has arrived is kept" in line
    assert machine.partial() == limit
    machine.hub.forget()
    machine.pull()
    assert [r.range for r in machine.hub.requests if r.name == Q and r.sent] == [f"bytes={limit}-"]


def test_a_folder_that_may_not_be_written(machine):
    machine.home = Path("/proc/dit4sr")
    machine.refused(ExitCode.OUTPUT, "/proc/dit4sr")


def test_two_pulls_at_once(machine):
    machine.hub.fault(Q, bytes_per_second=800_000)
    args = command("models", "pull", "dit4sr-q", "--accept-licence")
    first = subprocess.Popen(args, env=environment(machine.env()), stderr=subprocess.DEVNULL)
    while not machine.partial():
        time.sleep(0.05)
    machine.refused(ExitCode.OUTPUT, "another dit4sr is filling this folder")
    assert first.wait(30) == 0


# Licences


def test_licences_are_accepted_once(machine):
    done = machine.refused(ExitCode.USAGE, "--accept-licence", args=("pull", "dit4sr-q"))
    assert "DiT4SR weights" in done and "Stability AI Community License" in done
    assert machine.hub.requests == []
    machine.pull("smolvlm", "dit4sr-q")
    record = json.loads((machine.home / "config" / "licences.json").read_text())["accepted"]
    assert set(record) == {"dit4sr", "stability-community"}
    assert record["dit4sr"].keys() == {"version", "when", "dit4sr"}
    machine.ok("pull", "dit4sr-f")  # the same terms
    assert "licence_accepted" in machine.json("info", "dit4sr-f")


def test_apache_asks_nothing(machine):
    machine.ok("pull", "smolvlm")


@pytest.mark.parametrize(("answer", "code"), [("y", ExitCode.OK), ("", ExitCode.USAGE)])
def test_licences_at_a_terminal(machine, answer, code):
    parent, child = pty.openpty()
    process = subprocess.Popen(
        command("models", "pull", "dit4sr-f"),
        env=environment(machine.env(TERM="xterm")),
        stdin=child,
        stdout=subprocess.DEVNULL,
        stderr=child,
    )
    os.close(child)
    os.write(parent, f"{answer}\n".encode())
    shown = b""
    while True:
        try:
            shown += os.read(parent, 65536)
        except OSError:
            break
    assert process.wait() == code, shown.decode()
    text = shown.decode()
    assert "https://stability.ai/community-license-agreement" in text
    assert "Do you accept these licences? [y/N]" in text
    if code == 0:
        assert "files" in text and "%" not in text.split("accept")[0]


# From a copy


def _copies(machine):
    """The same repositories in every layout that `--from` knows."""
    from huggingface_hub import snapshot_download

    root = machine.home.parent / "copies"
    hub = machine.hub
    for repo in (DIT4SR, SD35):
        snapshot_download(repo, cache_dir=root / "cache", endpoint=hub.url, token="good")
        shutil.copytree(hub.root / repo, root / "by repository" / repo)
        shutil.copytree(hub.root / repo, root / "by name" / repo.split("/")[1])
    shutil.copytree(hub.root / SD35, root / "diffusers")
    shutil.rmtree(root / "diffusers" / "transformer")
    shutil.copytree(hub.root / Path(Q).parent, root / "diffusers" / "transformer")
    return root


def test_from_a_copy(machine, monkeypatch):
    root = _copies(machine)
    machine.hub.forget()
    first = machine.home
    for name in ("cache", "by repository", "by name", "diffusers", "models folder"):
        machine.home = first / name
        machine.models = machine.home / "models"
        monkeypatch.setenv("DIT4SR_HOME", str(machine.home))
        source = first / "cache" if name == "models folder" else root / name
        machine.pull("--from", source, HF_HUB_OFFLINE="1")
        assert resolve().name == "dit4sr-q"
        assert machine.is_good("dit4sr-q", "sd3.5-medium")
        manifest = machine.manifest("dit4sr-q")
        assert manifest.source == "copy"
        is_known = name in ("cache", "models folder")
        assert manifest.commit == (machine.hub.sha(DIT4SR) if is_known else "")
        machine.ok("pull")  # nothing is missing
    assert machine.hub.requests == []


def test_a_copy_that_is_damaged_or_not_there(machine, tmp_path):
    args = ("pull", "--accept-licence", "--from")
    machine.refused(ExitCode.MODEL, "no such folder", args=(*args, tmp_path / "nowhere"))
    machine.refused(ExitCode.MODEL, "no copy of dit4sr-q", args=(*args, tmp_path / "home"))
    root = tmp_path / "copy"
    shutil.copytree(machine.hub.root, root)
    data = (root / Q).read_bytes()
    (root / Q).write_bytes(data[:-1])
    machine.refused(ExitCode.MODEL, Path(Q).name, "bytes where its header says", args=(*args, root))
    assert not list(machine.models.rglob("*.safetensors"))
    machine.pull()
    blob = machine.models / "dit4sr-q" / Q.removeprefix(f"{DIT4SR}/")
    blob.write_bytes(data[:-1] + b"x")  # the manifest knows better
    first, machine.home = machine.home, tmp_path / "second"
    machine.refused(ExitCode.MODEL, "its checksum is wrong", args=(*args, first))


# What is here


def test_verify_finds_a_flipped_byte_and_pull_mends_it(machine):
    machine.pull()
    path = machine.models / "sd3.5-medium" / "vae" / "diffusion_pytorch_model.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    lost = machine.models / "dit4sr-q" / "dit4sr_q" / "transformer" / "config.json"
    lost.unlink()
    line = machine.refused(
        ExitCode.MODEL, str(path), "its checksum is wrong", str(lost), "missing", args=("verify",)
    )
    assert "dit4sr models pull dit4sr-q sd3.5-medium fetches only these" in line
    machine.hub.forget()
    machine.pull("dit4sr-q", "sd3.5-medium")
    assert len(machine.hub.fetched()) == 2
    assert machine.is_good("dit4sr-q", "sd3.5-medium")


def test_nano_and_folders_can_be_verified(machine, tmp_path):
    assert b"nano: 5 files, checksums are right" in machine.ok("verify", "nano").stdout
    folder = tmp_path / "mine"
    shutil.copytree(machine.hub.root / Path(Q).parent, folder / "transformer")
    (folder / "vae").mkdir()
    (folder / "vae" / "config.json").write_text("{}")
    assert b"complete, by their headers" in machine.ok("verify", folder).stdout
    weights = folder / "transformer" / Path(Q).name
    weights.write_bytes(weights.read_bytes()[:-9])
    machine.refused(ExitCode.MODEL, "header says", args=("verify", str(folder)))


def test_remove(machine):
    machine.pull("dit4sr-q", "dit4sr-f")
    machine.refused(ExitCode.USAGE, "--yes", args=("remove", "dit4sr-q"))
    done = machine.json("remove", "dit4sr-q", "--yes")
    assert done["folders"] == [str(machine.models / "dit4sr-q")]
    assert done["freed_bytes"] > LARGE
    assert resolve().name == "dit4sr-f"
    assert "freed" in machine.ok("remove", "dit4sr-f", "--yes").stderr
    assert not (machine.models / "sd3.5-medium").exists()
    machine.refused(ExitCode.USAGE, "part of dit4sr", args=("remove", "nano", "--yes"))
    machine.refused(ExitCode.MODEL, "nothing of this name", args=("remove", "dit4sr-q", "--yes"))
    machine.refused(ExitCode.MODEL, "nothing of this name", args=("remove", "../config", "--yes"))


def test_info_before_and_after(machine):
    before = machine.json("info", "dit4sr-r1")
    assert (before["wiring"], before["steps"], before["injection_scale"]) == ("r1", 40, 1.2)
    assert before["licence_accepted"] == "not yet"
    assert b"stability.ai" in machine.ok("info", "dit4sr-r1").stdout
    assert machine.json("info", "nano")["state"] == "embedded"
    machine.pull("smolvlm")
    after = machine.json("info", "smolvlm")["parts"][0]
    assert after["repository"] == f"https://huggingface.co/{SMOLVLM}"
    assert (after["files"], after["commit"]) == (4, machine.hub.sha(SMOLVLM))


def test_verbose_names_each_file(machine):
    done = machine.pull("smolvlm", "-v")
    assert "smolvlm/model.safetensors: 2.1 kB" in done.lines
    assert machine.ok("pull", "smolvlm", "-q").stderr == ""
    parts = machine.json("pull", "smolvlm")["parts"]
    assert [part["fetched_bytes"] for part in parts] == [0]
