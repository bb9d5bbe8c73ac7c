"""Makes Ray's workers mortal: orders in a folder say at what step of theirs they are killed.

Python imports this at its start, where this folder is on the path. An order is carried out once, by
the first that is about to do it.
"""

import json
import os
import signal
import sys
from pathlib import Path


def _obey(event, arguments):
    if event not in ("open", "os.link", "os.remove"):
        return
    # A file that goes away is the temporary one: its result has just got its name.
    place = arguments[1 if event == "os.link" else 0]
    if not isinstance(place, str | os.PathLike):
        return
    place = Path(place)
    if place.suffix not in (".png", ".part"):
        return
    for order in sorted(Path(os.environ["MORTAL_ORDERS"]).glob("*.json")):
        try:
            said = json.loads(order.read_text())
            path = Path(said["path"])
            fits = place.name == path.name
            if event == "os.remove":
                fits = (place.parent / path).exists() and place.suffix == ".part"
            if said["event"] == event and fits:
                order.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        except FileNotFoundError:  # another was first
            continue


if any("default_worker" in word for word in sys.orig_argv):
    sys.addaudithook(_obey)
