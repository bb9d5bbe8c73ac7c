"""Installs faults, then runs the real main: python -m helpers.launch FAULT,FAULT ARGS..."""

import sys

from helpers import faults

if __name__ == "__main__":
    for name in sys.argv.pop(1).split(","):
        getattr(faults, name)()
    from dit4sr_cli.__main__ import main

    main()
