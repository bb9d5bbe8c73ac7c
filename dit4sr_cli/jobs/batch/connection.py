"""Ray itself: how a cluster is reached, and where its workers are placed."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeAlias

from dit4sr_cli.core.errors import UsageError
from dit4sr_cli.core.types import DeviceChoice
from dit4sr_cli.jobs.batch.request import Explain, Request
from dit4sr_cli.jobs.batch.worker import Worker

AUTO = "auto"
_REACH_SECONDS = 10.0
Ref: TypeAlias = Any
Actor: TypeAlias = Any


@contextmanager
def connected(address: str) -> Iterator[None]:
    """A cluster that is there, or for `auto` this machine as one if there is none.

    Raises:
        UsageError: Ray is not installed, or nothing answers.
    """
    try:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
        import ray
    except ImportError as error:
        raise UsageError(
            "--ray needs Ray, which is not installed", hint="pip install 'dit4sr[ray]'"
        ) from error
    if address != AUTO:
        _reach(address)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(
            address=None if address == AUTO else address,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"--ray {address}: {reason}", hint="start a cluster with `ray start --head`"
        ) from error
    try:
        for number, handler in handlers.items():  # Ray puts its own in their place
            signal.signal(number, handler)
        yield
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_REACH_SECONDS).close()
    except ValueError:
        raise UsageError(
            f"--ray {address}: not an address", hint="auto, HOST:PORT or ray://HOST:PORT"
        ) from None
    except OSError as error:
        raise UsageError(
            f"--ray {address}: nobody answers: {error.strerror or error}",
            hint="start a cluster with `ray start --head`",
        ) from error


def start(request: Request, settings: str, explain: Explain) -> list[tuple[str, Actor]]:
    """A named worker for each GPU; where there are none, for each machine, with all its cores.

    Raises:
        UsageError: the cluster has neither.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    actor = ray.remote(max_restarts=-1, max_concurrency=request.threads + 4)(Worker)
    is_cpu = request.model.device is DeviceChoice.CPU
    # A list of all files need not go to each of them.
    asked = replace(request, targets={}, refused=())
    started: list[tuple[str, Actor]] = []
    for node in (node for node in ray.nodes() if node["Alive"]):
        has = node["Resources"]
        gpus = 0 if is_cpu else int(has.get("GPU", 0))
        shares = [{"num_gpus": 1, "num_cpus": 0}] * gpus
        if not gpus and has.get("CPU", 0) >= 1:
            shares = [{"num_cpus": int(has["CPU"])}]
        for share in shares:
            place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=True)
            name = f"worker {node['NodeManagerHostname']}:{len(started) + 1}"
            handle = actor.options(scheduling_strategy=place, **share).remote(
                asked, settings, explain
            )
            started.append((name, handle))
    if not started:
        raise UsageError("the cluster has neither a GPU nor a core to spare")
    return started
