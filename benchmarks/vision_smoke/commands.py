"""How are commands run, killed and compared?"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

METRICS = "metrics.jsonl"
# Networks and pictures are so small that threads would mostly wait for each other.
_ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def call(*words: str) -> str:
    """
    Run `provq-vision` and return what it prints.

    Parameters
    ----------
    *words : str
        Its command line.

    Returns
    -------
    str
        Standard output.

    Raises
    ------
    SystemExit
        If it fails.
    """
    done = subprocess.run(
        command(*words), stdout=subprocess.PIPE, text=True, check=False, env=_ENVIRONMENT
    )
    if done.returncode:
        sys.exit(f"FAILED: provq-vision {words[0]}: exit code {done.returncode}")
    return done.stdout


def command(*words: str) -> list[str]:
    """
    Return a command line of `provq-vision` for this interpreter.

    Parameters
    ----------
    *words : str
        Subcommand and options.

    Returns
    -------
    list of str
        The whole of it.
    """
    return [sys.executable, "-m", "provq_vision", *words]


def kill_after(folder: Path, step: int, *words: str) -> None:
    """
    Start a training and kill it once it has logged a step.

    Parameters
    ----------
    folder : Path
        Of the run.
    step : int
        Which step.
    *words : str
        Subcommand and options of the training.

    Raises
    ------
    SystemExit
        If it ends before.
    """
    process = subprocess.Popen(command(*words), env=_ENVIRONMENT)
    log = folder / METRICS
    wanted = f'{{"step": {step}, '
    while process.poll() is None:
        if log.exists() and wanted in log.read_text(encoding="utf-8"):
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            return
        time.sleep(0.02)
    sys.exit(f"FAILED: the training that was to be killed ended with code {process.returncode}")


def differences(whole: Path, resumed: Path) -> list[str]:
    """
    Compare two run folders.

    Parameters
    ----------
    whole, resumed : Path
        Of an unbroken and of a resumed training.

    Returns
    -------
    list of str
        What differs and must not.
    """
    found = []
    for name in ("model/model.safetensors", "checkpoint/optimizer.safetensors"):
        if (whole / name).read_bytes() != (resumed / name).read_bytes():
            found.append(f"{name} of the resumed training differs from the unbroken one")
    logs = []
    for folder in (whole, resumed):
        lines = (folder / METRICS).read_text(encoding="utf-8").splitlines()
        events = [json.loads(line) for line in lines]
        logs.append([{k: v for k, v in each.items() if k != "seconds"} for each in events])
    if logs[0] != logs[1]:
        found.append("the metrics of the resumed training differ from the unbroken ones")
    if not found:
        say(f"{len(logs[0])} events and all weights are equal, byte by byte")
    return found


def say(text: str) -> None:
    """
    Print a line that stands out.

    Parameters
    ----------
    text : str
        The line.
    """
    print(f"==> {text}", flush=True)
