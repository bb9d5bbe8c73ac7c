"""`dit4sr` without its start-up: a process that has imported everything forks for each command.

    with warm.commands(folder, env) as path:       # folder/dit4sr, folder/python: put it on PATH
        subprocess.run("cat a.jpg | dit4sr upscale - > b.jpg", shell=True, env={"PATH": path, ...})

What runs is the real main with the caller's arguments, folder, environment and descriptors, so
pipes and redirections are real, too. Only what libraries read while they are imported
(huggingface_hub its variables) is the server's. `python -` runs a program from standard input.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import pkgutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

_CLIENT = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({socket!r})
    asked = {{"argv": [{name!r}, *sys.argv[1:]], "cwd": os.getcwd(), "env": dict(os.environ)}}
    socket.send_fds(server, [b"."], [0, 1, 2])
    server.sendall(json.dumps(asked).encode())
    server.shutdown(socket.SHUT_WR)
    code = int(server.recv(8) or 99)
sys.exit(code)
"""
_FIRST = ("diffusers", "transformers", "accelerate", "PIL.Image", "huggingface_hub", "rich.live")
_CLASSES = {
    "transformers": ("CLIPTextModelWithProjection", "CLIPTokenizer", "T5EncoderModel"),
    "diffusers": ("AutoencoderKL", "FlowMatchEulerDiscreteScheduler"),
}


@contextmanager
def commands(folder: Path, env: Mapping[str, str]) -> Iterator[str]:
    """Serve; yields the PATH on which `dit4sr` and `python` are ours."""
    address = str(folder / "warm")
    for name in ("dit4sr", "python"):
        client = folder / name
        text = _CLIENT.format(python=sys.executable, socket=address, name=name)
        client.write_text(text, encoding="utf-8")
        client.chmod(client.stat().st_mode | stat.S_IXUSR)
    argv = [sys.executable, "-m", "helpers.warm", address]
    with subprocess.Popen(argv, env=dict(env), stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None and server.stdout.readline() == b"ready\n"
            yield f"{folder}{os.pathsep}{env['PATH']}"
        finally:
            server.terminate()


def _serve(address: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who answer
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(16)
        _import_everything()
        os.write(1, b"ready\n")
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _answer(connection)
            connection.close()


def _import_everything() -> None:
    import dit4sr_cli

    for module in pkgutil.walk_packages(dit4sr_cli.__path__, "dit4sr_cli."):
        with suppress(ImportError):  # what an extra brings may not be there
            importlib.import_module(module.name)
    for name in _FIRST:
        importlib.import_module(name)
    for name, classes in _CLASSES.items():
        for one in classes:
            getattr(importlib.import_module(name), one)


def _answer(connection: socket.socket) -> NoReturn:
    """Run what is asked in a child, and tell how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
    asked = json.loads(b"".join(iter(lambda: connection.recv(1 << 16), b"")))
    child = os.fork()
    if child == 0:
        connection.close()
        _become(asked, descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    with suppress(OSError):
        connection.sendall(str(code if code >= 0 else 128 - code).encode())
    os._exit(0)


def _become(asked: dict, descriptors: list[int]) -> NoReturn:
    for target, descriptor in enumerate(descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = asked["argv"]
    code = 1
    try:
        _run()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(code)


def _run() -> None:
    if sys.argv[0] == "dit4sr":
        from dit4sr_cli.__main__ import main

        main()
    exec(compile(sys.stdin.read(), "page", "exec"), {"__name__": "__main__"})


if __name__ == "__main__":
    _serve(sys.argv[1])
