"""Does any of many thousand damaged files break a reader? Exit code 1 if so.

    python tests/fuzz/run_fuzz.py --inputs 100000 --seed 0

Inputs depend on the seed and their number alone: a finding can be made again with `--first`. They
are tried in rounds over all targets, and the file of `--report` is written after each round.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fuzz_targets import TARGETS
from fuzzing import Outcome, run, save_reproducers, shares

ROUND = 5000


def main() -> int:
    """Fuzz, print what was tried and found."""
    options = _parser().parse_args()
    numbers = shares(options.inputs, options.targets)
    rounds = shares(ROUND, options.targets)
    outcome = Outcome(tried=dict.fromkeys(numbers, 0))
    end = time.time() + options.seconds
    while outcome.tried != numbers and time.time() < end:
        inputs = {}
        for name, tried in outcome.tried.items():
            begin = options.first + tried
            inputs[name] = range(begin, begin + min(rounds[name], numbers[name] - tried))
        outcome.join(run(inputs, seed=options.seed, seconds=end - time.time()))
        if options.report:
            _write_report(options.report, outcome, numbers, options)
    _print(outcome, numbers, save_reproducers(outcome, options.reproducers, seed=options.seed))
    return 1 if outcome.findings or outcome.tried != numbers else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100_000, help="in all (default 100000)")
    parser.add_argument("--seconds", type=float, default=7200.0, help="stop after (default 7200)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--targets", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--reproducers", type=Path, default=Path("build/fuzz"), metavar="FOLDER")
    parser.add_argument("--report", type=Path, metavar="FILE", help="JSON, after each round")
    return parser


def _write_report(
    path: Path, outcome: Outcome, numbers: dict[str, int], options: argparse.Namespace
) -> None:
    report = {
        "seed": options.seed,
        "first": options.first,
        "finished": outcome.tried == numbers,
        "seconds": round(outcome.seconds, 1),
        "inputs": sum(outcome.tried.values()),
        "inputs_planned": sum(numbers.values()),
        "targets": {name: {"tried": outcome.tried[name], "of": numbers[name]} for name in numbers},
        "findings": [asdict(finding) for finding in outcome.findings],
    }
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(report, indent=2) + "\n")
    part.replace(path)


def _print(outcome: Outcome, numbers: dict[str, int], places: dict[int, Path]) -> None:
    for name, tried in outcome.tried.items():
        mine = [finding for finding in outcome.findings if finding.target == name]
        short = "" if tried == numbers[name] else f"  (of {numbers[name]:,}: time was over)"
        print(f"{name:<12}{tried:>9,} inputs {len(mine):>3} findings{short}")
    total = sum(outcome.tried.values())
    rate = total / max(outcome.seconds, 1e-9)
    found = len(outcome.findings)
    print(f"{'all':<12}{total:>9,} inputs {found:>3} findings, {rate:,.0f} inputs/s")
    for number, finding in enumerate(outcome.findings):
        print(f"\n{finding.target}: {finding.kind} at {finding.place}, {finding.count} times")
        print(f"  {finding.what}\n  {places.get(number, 'its files could not be made')}")


if __name__ == "__main__":
    sys.exit(main())
