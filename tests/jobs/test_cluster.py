"""A batch on a real Ray cluster of two machines, as processes on this one, some of which are lost.

Who is killed and when is decided inside of the workers' processes, by what they are about to do to
a file: `helpers/mortal` is on their path alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from helpers import images
from helpers.cli import command, environment, run_cli

from dit4sr_cli import __version__
from dit4sr_cli.core.errors import ModelError
from dit4sr_cli.core.settings import ModelSettings
from dit4sr_cli.jobs.batch import todo
from dit4sr_cli.jobs.batch.request import Request, as_expected
from dit4sr_cli.jobs.batch.worker import Worker
from dit4sr_cli.weights.resolve import embedded_dir, resolve

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="needs kill")]

NAMES = [f"p{number:02d}" for number in range(6)]
FEW_BYTES = 80_000_000
MORTAL = Path(__file__).parents[1] / "helpers" / "mortal"
SAME_DATE = {"SOURCE_DATE_EPOCH": "1000000000"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    for number, name in enumerate(NAMES):
        images.save(tmp_path / "in" / f"{name}.png", 24 + number, 16)
    return tmp_path


@pytest.fixture
def cluster(folder, monkeypatch):
    """Two machines with a core each."""
    from ray.cluster_utils import Cluster

    for name, value in environment(SAME_DATE | {"RAY_USAGE_STATS_ENABLED": "0"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", f"{MORTAL}{os.pathsep}{os.environ['PYTHONPATH']}")
    monkeypatch.setenv("MORTAL_ORDERS", str(folder / "orders"))
    (folder / "orders").mkdir()
    one = {"num_cpus": 1, "object_store_memory": FEW_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=one)
    cluster.add_node(num_cpus=1, object_store_memory=FEW_BYTES)
    yield cluster
    cluster.shutdown()


def order(folder: Path, name: str, event: str, path: str, *, times: int = 1) -> None:
    """Whoever does this to a file of this name is killed just before, so many times."""
    text = json.dumps({"event": event, "path": path})
    for number in range(times):
        (folder / "orders" / f"{name}-{number}.json").write_text(text)


def batch(folder: Path, *more: str):
    return run_cli("batch", folder / "in", "-o", folder / "out", *more, env=SAME_DATE)


def state_of(out: Path) -> dict[str, str]:
    """Everything in the folder of results but the journal, half-written files included."""
    paths = (path for path in out.rglob("*") if path.is_file() and ".dit4sr" not in path.parts)
    return {str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def journal_of(folder: Path) -> list[dict]:
    lines = (folder / "out" / ".dit4sr" / "journal.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_worker_killed_in_each_phase_costs_nothing(folder, cluster):
    """While reading, just before the result gets its name, and just after."""
    run_cli("batch", folder / "in", "-o", folder / "whole", env=SAME_DATE)
    order(folder, "reading", "open", "p01.png")
    order(folder, "placing", "os.link", "p03_x4.png")
    order(folder, "placed", "os.remove", "p04_x4.png")
    done = batch(folder, "--ray", cluster.address)
    assert done.code == 0, done.stderr
    assert not list((folder / "orders").iterdir())
    assert done.lines[-1].startswith("6 done, 0 skipped, 0 failed")
    assert any("lost; it is started again" in line for line in done.lines)
    assert state_of(folder / "out") == state_of(folder / "whole")
    finished = [line["target"] for line in journal_of(folder) if line["event"] == "done"]
    assert sorted(finished) == [f"{name}_x4.png" for name in NAMES]
    again = batch(folder, "--ray", cluster.address)
    assert again.lines[-1].startswith("0 done, 6 skipped, 0 failed")
    assert batch(folder).lines[-1].startswith("0 done, 6 skipped, 0 failed")


def test_a_picture_that_kills_is_given_up_and_a_bad_one_told(folder, cluster):
    (folder / "in" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    order(folder, "poison", "open", "p02.png", times=9)
    done = batch(folder, "--ray", cluster.address, "--report", str(folder / "report.json"))
    assert done.code == 8, done.stderr
    report = json.loads((folder / "report.json").read_text())
    failed = {Path(f["input"]).name: f for f in report["files"] if f["status"] == "failed"}
    assert sorted(failed) == ["bad.png", "p02.png"]
    assert "its worker was lost 3 times" in failed["p02.png"]["reason"]
    assert len(list((folder / "orders").iterdir())) == 6
    assert sorted(state_of(folder / "out")) == [f"{n}_x4.png" for n in NAMES if n != "p02"]


def test_a_machine_that_goes_away_is_done_without(folder, cluster):
    for number in range(len(NAMES), 24):
        images.save(folder / "in" / f"q{number}.png", 40 + number, 30)
    process = start(folder, cluster, "--jobs", "0")
    wait_until(lambda: len(list((folder / "out").glob("*.png"))) > 3, process)
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    assert process.wait(timeout=200) == 0
    assert len(state_of(folder / "out")) == 24


def test_ctrl_c_ends_it_and_this_machine_goes_on(folder, cluster):
    for number in range(len(NAMES), 24):
        images.save(folder / "in" / f"q{number}.png", 40 + number, 30)
    process = start(folder, cluster)
    wait_until(lambda: len(list((folder / "out").glob("*.png"))) > 2, process)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130
    assert "the same command goes on with the rest" in said
    left = state_of(folder / "out")
    assert 2 < len(left) < 24
    assert not [name for name in left if name.endswith(".part")]
    done = batch(folder)
    assert done.code == 0
    assert len(state_of(folder / "out")) == 24
    assert left.items() <= state_of(folder / "out").items()


def test_a_cluster_that_is_not_there(folder):
    done = batch(folder, "--ray", "127.0.0.1:1")
    assert done.code == 2
    assert "--ray 127.0.0.1:1: nobody answers" in done.stderr
    assert "ray start" in done.stderr


def start(folder: Path, cluster, *more: str) -> subprocess.Popen:
    argv = command("batch", folder / "in", "-o", folder / "out", "--ray", cluster.address, *more)
    return subprocess.Popen(argv, env=environment(SAME_DATE), stderr=subprocess.PIPE)


def wait_until(is_so, process: subprocess.Popen) -> None:
    while not is_so():
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.02)


def test_without_ray_it_says_what_to_install(folder):
    done = run_cli("batch", folder / "in", "-o", folder / "out", "--ray", "auto", faults=["no_ray"])
    assert done.code == 2
    assert "dit4sr[ray]" in done.lines[-1]


def test_where_no_machine_has_the_model_the_run_ends(folder, cluster):
    """It is in the home of the one that starts the run, and the workers have another."""
    shutil.copytree(embedded_dir() / "nano", folder / "home" / "models" / "mine")
    words = [folder / "in", "-o", folder / "out", "--ray", cluster.address, "--model", "mine"]
    done = run_cli("batch", *words, env=SAME_DATE | {"DIT4SR_HOME": str(folder / "home")})
    assert done.code == 5, done.stderr
    assert any("left out: " in line and "mine" in line for line in done.lines)
    assert not state_of(folder / "out")


def test_a_worker_makes_nothing_with_other_weights_or_another_version(folder):
    request = Request(targets={}, folder=folder / "out", model=ModelSettings(model="nano"))
    digest = todo.settings_digest(request, resolve("nano"))
    Worker(request, digest, as_expected).check(__version__)
    with pytest.raises(ModelError, match="other weights"):
        Worker(request, "another", as_expected).check(__version__)
    with pytest.raises(ModelError, match=r"0\.0\.1"):
        Worker(request, digest, as_expected).check("0.0.1")
