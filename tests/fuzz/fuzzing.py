"""How are inputs read in a process that may hang or die, and what was found?"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fuzz_worker import NO_INPUT, files_of, targets_of

MODULE = "fuzz_targets"
_WORKER = Path(__file__).with_name("fuzz_worker.py")
_OURS = re.compile(r'File "[^"]*?(provq_\w+/[^"]+)", line (\d+)')


@dataclass
class Finding:
    """
    One way in which inputs break a reader.

    Parameters
    ----------
    target, kind, what, place : str
        Which reader; "uncaught", "unnamed", "lines", "memory", "action", "written", "hang",
        "died" or "unmade"; the message of the first input; the innermost line of the project.
    index : int
        The first input.
    count : int
        How many inputs did this.
    """

    target: str
    kind: str
    what: str
    place: str
    index: int
    count: int = 1


@dataclass
class Outcome:
    """
    What a run tried and found.

    Parameters
    ----------
    tried : dict of str to int
        Inputs per target.
    findings : list of Finding
        Each kind once.
    seconds : float
        How long it took.
    """

    tried: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, target: str, kind: str, what: str, place: str, index: int) -> None:
        """Count a finding."""
        exception = what.split(":")[0]
        for known in self.findings:
            same = (known.target, known.kind, known.place) == (target, kind, place)
            if same and known.what.split(":")[0] == exception:
                known.count += 1
                return
        self.findings.append(Finding(target, kind, what, place, index))

    def join(self, later: "Outcome") -> None:
        """Add what a later run tried and found."""
        for name, tried in later.tried.items():
            self.tried[name] = self.tried.get(name, 0) + tried
        for found in later.findings:
            known = len(self.findings)
            self.add(found.target, found.kind, found.what, found.place, found.index)
            if len(self.findings) > known:
                self.findings[-1].count = found.count
        self.seconds += later.seconds


def shares(total: int, targets: Sequence[str]) -> dict[str, int]:
    """Return how many of a number of inputs each target gets."""
    weights = {name: targets_of(MODULE)[name].share for name in targets}
    whole = sum(weights.values())
    numbers = {name: max(1, total * weight // whole) for name, weight in weights.items()}
    numbers[targets[0]] += max(0, total - sum(numbers.values()))
    return numbers


def run(inputs: Mapping[str, range], *, seed: int, seconds: float, module: str = MODULE) -> Outcome:
    """
    Read inputs, in one process at a time.

    Parameters
    ----------
    inputs : mapping of str to range
        Which inputs of each target.
    seed : int
        Decides all of them.
    seconds : float
        When to stop in any case.
    module : str, optional
        Which defines the targets.

    Returns
    -------
    Outcome
        What was tried and found.
    """
    outcome = Outcome(tried=dict.fromkeys(inputs, 0))
    begin = time.time()
    jobs = [(name, mine.start, mine.stop) for name, mine in inputs.items() if mine]
    while jobs and time.time() < begin + seconds:
        limits = ["--seed", str(seed), "--until", str(begin + seconds), "--module", module]
        jobs = _until_it_ends(jobs, limits, outcome)
    outcome.seconds = time.time() - begin
    return outcome


def _in_memory() -> str | None:
    """A place in memory, if there is one: the disk is not what is tested."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _until_it_ends(
    jobs: list[tuple[str, int, int]], limits: list[str], outcome: Outcome
) -> list[tuple[str, int, int]]:
    """Run a worker; return the jobs that are left when it ends."""
    with (
        tempfile.NamedTemporaryFile() as progress,
        tempfile.TemporaryFile("w+") as errors,
        tempfile.TemporaryDirectory(prefix="provq-fuzz-", dir=_in_memory()) as sandbox,
    ):
        progress.write(bytes(16))
        progress.flush()
        command = [sys.executable, str(_WORKER), "--jobs", json.dumps(jobs), *limits]
        command += ["--progress", progress.name, "--sandbox", sandbox]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            outcome.add(**json.loads(line))
        code = process.wait()
        process.stdout.close()
        state = Path(progress.name).read_bytes()
        errors.seek(0)
        said = errors.read()
    number, index = (int.from_bytes(state[at : at + 8], "little") for at in (0, 8))
    for name, start, stop in jobs[:number]:
        outcome.tried[name] += stop - start
    if number == len(jobs):
        return []
    name, start, stop = jobs[number]
    if code == 0:  # its time was over
        outcome.tried[name] += 0 if index == NO_INPUT else max(0, index - start)
        return []
    if index == NO_INPUT:
        msg = f"the fuzzer could not begin with {name} (exit code {code}):\n{said[-3000:]}"
        raise RuntimeError(msg)
    outcome.tried[name] += index + 1 - start
    busy, waited = code == -signal.SIGPROF, "Timeout (" in said
    kind = "hang" if busy or waited else "died"
    what = "took too long" if busy else "waited too long" if waited else f"exit code {code}"
    place = _OURS.search(said)
    where = ":".join(place.groups()) if place else (said.splitlines() or [""])[-1][:80]
    outcome.add(name, kind, what, where, index)
    rest = [(name, index + 1, stop)] if index + 1 < stop else []
    return [*rest, *jobs[number + 1 :]]


def save_reproducers(outcome: Outcome, folder: Path, *, seed: int) -> dict[int, Path]:
    """Write the files of the first input of each finding; return where, by its position."""
    places = {}
    for number, finding in enumerate(outcome.findings):
        place = folder / f"{finding.target}-{finding.kind}-{seed}-{finding.index}"
        place.mkdir(parents=True, exist_ok=True)
        if finding.kind == "unmade":
            continue
        files = files_of(MODULE, finding.target, seed, finding.index)
        for name, content in files.items():
            (place / name).write_bytes(content)
        places[number] = Path(os.path.relpath(place))
    return places
