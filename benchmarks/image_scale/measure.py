"""Measure what one image costs in each part of the full experiment on ImageNet-1k.

    python benchmarks/image_scale/measure.py                            # one thread of a processor
    python benchmarks/image_scale/measure.py --device cuda --batch 64   # a GPU, in bfloat16

Networks have their full size and random weights; operations are counted, and times are the smaller
of several rounds after one that is not counted. Results go to ``results/DEVICE.json``, from which
``page.py`` writes the table in docs/reproducing_images.md.
"""

import argparse
import re
import sys
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation, and finds its own folder's modules.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from reporting.files import save_results  # noqa: E402
from reporting.machine import machine, versions  # noqa: E402

from image_scale.stages import Work, precision_on, stages, work_of  # noqa: E402

FORMAT, FORMAT_VERSION = "provq-image-scale", 1


def main(argv: list[str] | None = None) -> int:
    """
    Measure and write.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default those of this process.

    Returns
    -------
    int
        0.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", help="for instance cuda (default: cpu)")
    parser.add_argument("--batch", type=int, default=1, help="images at once (default: 1)")
    parser.add_argument("--rounds", type=int, default=2, help="rounds to time (default: 2)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    found = {}
    for stage in stages():
        torch.manual_seed(0)
        work = work_of(stage.key, device=device, batch=args.batch)
        # The first round of all: it finds algorithms and memory as well.
        with FlopCounterMode(display=False) as counter:
            work()
        operations = counter.get_total_flops() / args.batch
        seconds = min(timed(work, device) for _ in range(args.rounds)) / args.batch
        found[stage.key] = {"operations": operations, "seconds": seconds}
        print(f"{stage.title}: {operations / 1e9:,.1f} GFLOP, {seconds:.4g} s per image")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else machine()
    path = args.results / f"{_file_name(name)}.json"
    save_results(
        path,
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "device": name,
            "precision": precision_on(device),
            "batch": args.batch,
            "stages": found,
            "versions": versions(("provq", "torch")),
        },
    )
    print(f"wrote {path}")
    return 0


def timed(work: Work, device: torch.device) -> float:
    """
    Return how long something takes.

    Parameters
    ----------
    work : callable
        Does it.
    device : torch.device
        Is waited for.

    Returns
    -------
    float
        In seconds; of processors, summed over threads.
    """
    # On a processor, the time of its own work: other programs do not count.
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    started = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - started


def _file_name(device: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", device.lower()).strip("_")


if __name__ == "__main__":
    sys.exit(main())
