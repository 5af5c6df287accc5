"""Does a run that is killed again and again end like one that is left in peace?"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# The promise is tried more often by `PROVQ_KILLS=20 pytest tests/protein/batch`.
KILLS = int(os.environ.get("PROVQ_KILLS", "4"))
PROGRAM = Path(__file__).with_name("batch_stand_ins.py")


@pytest.fixture
def many_files(write_pdb) -> Path:
    for number in range(30):
        write_pdb(f"f{number:02d}", length=4 + number, shift=number)
    return write_pdb("f00").parent


def start(inputs: Path, out: Path, *, delay: float = 0.004) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), str(inputs), str(out)],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "STAND_IN_DELAY": str(delay)},
    )


def finish(inputs: Path, out: Path) -> None:
    with start(inputs, out) as process:
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, "")


def begun(out: Path) -> int:
    """Return how many shards have been begun: unfinished files, and those that are done."""
    return len([*out.glob("manifest-*"), *out.glob(".work-*/*-*")])


def test_nothing_is_lost_and_nothing_doubled(many_files, tmp_path, state_of) -> None:
    finish(many_files, tmp_path / "whole")
    dice = random.Random(7)
    out = tmp_path / "killed"
    for kill in range(KILLS):
        process = start(many_files, out)
        before = begun(out)
        # Not before it does something, or every kill would meet it loading its libraries.
        while process.poll() is None and begun(out) == before:
            time.sleep(0.001)
        time.sleep(dice.random() * 0.03)
        # The whole family at once, or the parent alone, whose workers have to notice.
        (os.killpg if kill % 2 else os.kill)(process.pid, signal.SIGKILL)
        process.communicate()
    finish(many_files, out)
    assert state_of("killed") == state_of("whole")
    assert not list(out.glob(".*"))


def test_an_interrupted_run_ends_with_130_and_can_be_resumed(
    many_files, tmp_path, state_of
) -> None:
    finish(many_files, tmp_path / "whole")
    out = tmp_path / "stopped"
    # Long enough that the rest cannot be done before the signal arrives.
    process = start(many_files, out, delay=1.0)
    while not begun(out):
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGINT)
    errors = process.communicate()[1]
    assert process.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1
    assert not list(out.glob(".*"))
    finish(many_files, out)
    assert state_of("stopped") == state_of("whole")
