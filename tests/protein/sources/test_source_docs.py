"""Does the page about inputs say what the code and the measurements say?"""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from provq_protein.sources import Limits
from provq_protein.sources.kinds import STRUCTURE_SUFFIXES, TAR_SUFFIXES, TRAJECTORY_SUFFIXES

UNITS = {"": 1, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


@pytest.fixture(scope="module")
def page(repo_root: Path) -> str:
    return (repo_root / "docs" / "inputs.md").read_text(encoding="utf-8")


def test_the_limits_are_those_of_the_code(page: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) ?(\w*) \|", page, re.MULTILINE)
    shown = {name: float(number.replace(",", "")) * UNITS[unit] for name, number, unit in rows}
    assert shown == asdict(Limits())


def test_every_suffix_is_named(page: str) -> None:
    plain = [suffix for suffix in STRUCTURE_SUFFIXES if not suffix.endswith((".gz", ".zst"))]
    for suffix in [*plain, *TAR_SUFFIXES, *TRAJECTORY_SUFFIXES]:
        assert f"`{suffix}`" in page


@pytest.mark.parametrize(("row", "name"), [("`data/structures", "samples"), ("CASP14", "casp14")])
def test_the_foldcomp_numbers_are_those_of_the_results(
    row: str, name: str, page: str, repo_root: Path
) -> None:
    path = repo_root / "benchmarks" / "foldcomp_loss" / "results" / f"{name}.json"
    results = json.loads(path.read_text(encoding="utf-8"))
    line = next(line for line in page.splitlines() if line.startswith(f"| {row}"))
    cells = [cell.strip() for cell in line.strip("|").split("|")][1:]
    total = results["summary"]
    assert results["fingerprint"] in page
    assert cells == [
        str(total["pieces"]),
        f"{total['residues']:,}",
        f"{total['changed_share']:.1%}".replace("%", " %"),
        f"{total['changed_by_noise_share']:.1%}".replace("%", " %"),
        f"{total['median_rmsd']:.3f}",
        f"{total['median_decoded_rmsd_before']:.2f}, {total['median_decoded_rmsd_after']:.2f}",
    ]
