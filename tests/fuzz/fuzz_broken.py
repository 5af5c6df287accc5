"""Which reader does everything that none should do? It shows that the fuzzer would see it."""

import itertools
import os
import random
import time
from pathlib import Path

import numpy as np
from fuzz_targets import Files, Target

from provq_protein.errors import TokenFormatError

DEEDS = ("nothing", "uncaught", "unnamed", "lines", "memory", "action", "written", "hang", "died")
_WARM_UP = 5
_NEVER = 600.0
_calls = itertools.count()
_waits = itertools.count()


def _make(rng: random.Random) -> Files:
    return {"deed": rng.choice(DEEDS).encode()}


def _read(folder: Path) -> None:
    if next(_calls) < _WARM_UP:
        return
    deed = (folder / "deed").read_text()
    if deed == "uncaught":
        raise KeyError(deed)
    if deed in ("unnamed", "lines"):
        raise TokenFormatError(deed if deed == "unnamed" else f"{folder}: two\nlines")
    if deed == "memory":
        np.ones(320 << 20, np.uint8)
    elif deed == "action":
        os.system("true")
    elif deed == "written":
        (folder / "more").write_bytes(b"")
    elif deed == "hang":
        while time.process_time() < _NEVER:
            pass
    elif deed == "died":
        os._exit(3)


def _wait(folder: Path) -> None:
    if next(_waits) >= _WARM_UP:
        time.sleep(_NEVER)


TARGETS = {
    "broken": Target(_make, _read, 1, seconds=2.0),
    "waiting": Target(_make, _wait, 1, waits=3.0),
}
"""The one that does what it is told to, and one that waits."""
