"""What happens to one process that reads thousands of inputs which nobody meant to write?

Started by `fuzzing.run`; answers with a line of JSON per finding. Its last input is in the progress
file, so that whoever started it knows which one ended it.
"""

import argparse
import contextlib
import faulthandler
import importlib
import json
import mmap
import os
import random
import re
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

# Imported on first use otherwise, and with it matplotlib where that is installed, which then makes
# the folder of its settings.
import biotite.structure  # noqa: F401
from fuzz_targets import Files, Target, UnnamedProblemError

from provq_protein.errors import ProvqError

NO_INPUT = 2**64 - 1
"""Stands in the progress file before the first input."""
_MEMORY_GROWTH = 256 << 20
_ADDRESS_SPACE = 3 << 30
_PROJECT = re.compile(r".*/(?=provq_\w+/)")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_FORBIDDEN = ("pickle.find_class", "os.system", "subprocess.Popen", "os.exec", "socket.connect")


class Watch:
    """
    Notices what an input makes Python do that no reader should do.

    Parameters
    ----------
    folder : Path
        Where files may be written.
    """

    def __init__(self, folder: Path) -> None:
        self.active = False
        self.seen: str | None = None
        self._allowed = (str(folder), "/dev/null")
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.active:
            return
        if event in _FORBIDDEN:
            self.seen = f"{event} {arguments!r:.100}"
        elif event == "open":
            if isinstance(arguments[2], int) and arguments[2] & _WRITING:
                self._written(arguments[0])
        elif event in ("os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove"):
            self._written(arguments[0])

    def _written(self, path: object) -> None:
        if isinstance(path, str | bytes) and not os.fsdecode(path).startswith(self._allowed):
            self.seen = f"writes {os.fsdecode(path)!r:.100}"


def targets_of(module: str) -> dict[str, Target]:
    """Return the targets that a module of this folder defines."""
    return importlib.import_module(module).TARGETS


def files_of(module: str, target: str, seed: int, index: int) -> Files:
    """Return one input of a target: always the same one for the same seed and index."""
    return targets_of(module)[target].make(random.Random(f"{seed}/{target}/{index}"))


def main() -> None:
    """Read inputs until all jobs are done."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", required=True, help="JSON: list of target, start, stop")
    parser.add_argument("--module", required=True, help="defines the targets")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--until", type=float, required=True, help="time at which to stop")
    parser.add_argument("--progress", type=Path, required=True)
    parser.add_argument("--sandbox", type=Path, required=True, help="the only folder to write to")
    options = parser.parse_args()
    faulthandler.enable()
    # After the traceback the signal ends the process, even within compiled code.
    faulthandler.register(signal.SIGPROF, chain=True)
    warnings.simplefilter("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"
    jobs = json.loads(options.jobs)
    module = options.module
    sandbox = options.sandbox
    os.chdir(sandbox)
    watch = Watch(sandbox)
    with options.progress.open("r+b") as file, mmap.mmap(file.fileno(), 16) as progress:
        for number, (target, start, stop) in enumerate(jobs):
            progress[:] = number.to_bytes(8, "little") + NO_INPUT.to_bytes(8, "little")
            read = targets_of(module)[target]
            _warm_up(read, [files_of(module, target, -1, index) for index in range(5)], sandbox)
            for index in range(start, stop):
                if time.time() > options.until:
                    return
                progress[:] = number.to_bytes(8, "little") + index.to_bytes(8, "little")
                try:
                    files = files_of(module, target, options.seed, index)
                except Exception as error:  # noqa: BLE001 - of the fuzzer, not of a reader
                    _report((target, index), "unmade", error)
                    continue
                _one((target, index), read, files, sandbox, watch)
            done = (number + 1).to_bytes(8, "little")
            progress[:] = done + (0).to_bytes(8, "little")


def _warm_up(target: Target, some: Iterable[Files], sandbox: Path) -> None:
    """Import what a target needs, then limit the memory that inputs can get."""
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    faulthandler.dump_traceback_later(2 * target.waits, exit=True)
    for files in some:
        folder = _written(files, sandbox)
        # What it raises is seen again, and reported, with the inputs that count.
        with contextlib.suppress(Exception):
            target.read(folder)
        shutil.rmtree(folder)
    faulthandler.cancel_dump_traceback_later()
    used = _status("VmSize:")
    resource.setrlimit(resource.RLIMIT_AS, (used + _ADDRESS_SPACE, resource.RLIM_INFINITY))


def _status(field: str) -> int:
    """Bytes that the system says this process has, or had at most."""
    with open("/proc/self/status", "rb") as file:  # noqa: PTH123 - read for each input
        for line in file:
            if line.startswith(field.encode()):
                return int(line.split()[1]) << 10
    return 0


def _written(files: Files, sandbox: Path) -> Path:
    folder = sandbox / "input"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def _one(which: tuple[str, int], target: Target, files: Files, sandbox: Path, watch: Watch) -> None:
    folder = _written(files, sandbox)
    before = _status("VmRSS:")
    watch.seen, watch.active = None, True
    signal.setitimer(signal.ITIMER_PROF, target.seconds)
    faulthandler.dump_traceback_later(target.waits, exit=True)
    try:
        target.read(folder)
    except ProvqError as error:
        if str(folder) not in str(error):
            _report(which, "unnamed", error)
        elif "\n" in str(error).replace(str(folder), ""):
            _report(which, "lines", error)
    except UnnamedProblemError as error:
        _report(which, "unnamed", error)
    except BaseException as error:  # noqa: BLE001 - exactly these are looked for
        _report(which, "uncaught", error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
        watch.active = False
    if watch.seen:
        _say(which, "action", watch.seen, watch.seen.split()[0])
    peak = _status("VmHWM:")
    if peak - max(before, 0) > _MEMORY_GROWTH:
        _say(which, "memory", f"{(peak - before) >> 20} MiB more at the peak", which[0])
        # Lets the peak begin anew (proc(5)).
        Path("/proc/self/clear_refs").write_text("5")
    strange = {path.name for path in sandbox.iterdir()} - {"input"}
    strange |= {path.name for path in folder.iterdir()} - set(files)
    if strange:
        _say(which, "written", f"new files {sorted(strange)}", "written")
    shutil.rmtree(folder)


def _report(which: tuple[str, int], kind: str, error: BaseException) -> None:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _PROJECT.match(frame.filename)]
    last = ours[-1] if ours else frames[-1]
    place = f"{_PROJECT.sub('', last.filename)}:{last.lineno}"
    _say(which, kind, f"{type(error).__name__}: {error!s:.300}", place)


def _say(which: tuple[str, int], kind: str, what: str, place: str) -> None:
    target, index = which
    record = {"target": target, "index": index, "kind": kind, "what": what, "place": place}
    print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
