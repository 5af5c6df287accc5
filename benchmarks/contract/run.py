"""Print what holds of the residue contract: sentences and their tests, agreement, goldens.

    python benchmarks/contract/run.py

Every sentence of docs/residue_contract.md has a test; they are run. The agreement of formats and
readers is shown from the committed results (``benchmarks/agreement/run.py --measure`` makes them).
The residue tables of tests/golden are compared. The exit code is 1 if anything is missing or fails.
"""

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation, and finds its own folder's modules.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from agreement import page  # noqa: E402
from agreement import run as agreement_run  # noqa: E402

from contract.sentences import Sentence, sentences, shortcomings  # noqa: E402
from provq_protein.errors import ConfigError  # noqa: E402

DOCUMENT = REPOSITORY / "docs" / "residue_contract.md"
TESTS = REPOSITORY / "tests" / "contract"
GOLDEN = REPOSITORY / "tests" / "golden" / "test_golden_residues.py"
TABLES = GOLDEN.with_name("residues")

Outcomes = Mapping[str, str]
"""``"passed"``, ``"failed"`` or ``"skipped"`` by the name of a test function."""

_OUTCOMES = ("passed", "skipped", "failed")


def main(argv: list[str] | None = None) -> int:
    """
    Print the report.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default those of this process.

    Returns
    -------
    int
        0 if all of the contract is tested and holds, 1 otherwise.
    """
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args(argv)
    held = [report_sentences(), report_agreement(), report_goldens()]
    return 0 if all(held) else 1


def report_sentences() -> bool:
    """
    Print the sentences with and without a test, and how their tests end.

    Returns
    -------
    bool
        Whether each has one, and all pass.
    """
    found = sentences(DOCUMENT)
    missing = shortcomings(DOCUMENT, TESTS)
    outcomes = run_tests(TESTS)
    tested = sum(one.test in outcomes for one in found)
    print(f"contract: {len(found)} sentences, {tested} with a test\n")
    print(sentence_table(found, outcomes))
    for line in missing:
        print(f"missing: {line}")
    failed = [name for name, outcome in outcomes.items() if outcome == "failed"]
    for name in failed:
        print(f"failed: {name}")
    for name in [name for name, outcome in outcomes.items() if outcome == "skipped"]:
        print(f"skipped here: {name}")
    return bool(found) and tested == len(found) and not missing and not failed


def sentence_table(found: Sequence[Sentence], outcomes: Outcomes) -> str:
    """
    Return how the tests of each group of sentences end.

    Parameters
    ----------
    found : sequence of Sentence
        Of the contract.
    outcomes : mapping of str to str
        From `run_tests`.

    Returns
    -------
    str
        A table.
    """
    groups = list(dict.fromkeys(one.group for one in found))
    width = max(map(len, groups), default=0)
    lines = [f"{'':{width}}  sentences  {'  '.join(_OUTCOMES)}"]
    for group in groups:
        mine = [one for one in found if one.group == group]
        ends = Counter(outcomes.get(one.test) for one in mine)
        numbers = "  ".join(f"{ends[name]:>{len(name)}}" for name in _OUTCOMES)
        lines.append(f"{group:{width}}  {len(mine):>9}  {numbers}")
    return "\n".join(lines)


def report_agreement() -> bool:
    """
    Print the tables of agreement, as committed.

    Returns
    -------
    bool
        Whether nothing disagrees, and the page shows it.
    """
    print("\nagreement of formats and readers\n")
    try:
        results = agreement_run.load(agreement_run.RESULTS)
    except ConfigError as error:
        print(f"missing: {error}")
        return False
    print(f"{page.pairs_table(results)}\n\n{page.readers_table(results)}")
    count = page.disagreements(results)
    current = agreement_run.main(["--check"]) == 0
    print(f"\ndifferences that should not be: {count}")
    return count == 0 and current


def report_goldens() -> bool:
    """
    Print whether the residue tables of the samples are the committed ones.

    Returns
    -------
    bool
        Whether they are.
    """
    outcomes = run_tests(GOLDEN)
    alike = bool(outcomes) and set(outcomes.values()) == {"passed"}
    tables = sorted(TABLES.glob("*.txt"))
    status = "as committed" if alike else "moved; `make golden` rewrites them and shows how"
    print(f"\ngolden residue tables: {len(tables)} files, {status}")
    return alike and bool(tables)


def run_tests(path: Path) -> dict[str, str]:
    """
    Run tests in a process of their own.

    Parameters
    ----------
    path : Path
        Folder or module.

    Returns
    -------
    dict of str to str
        Outcome by name of test function; of several cases the worst counts.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", str(path), "-q", f"--junitxml={report}"]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        if not report.is_file():
            print(done.stdout + done.stderr, file=sys.stderr)
            return {}
        if done.returncode:
            print(done.stdout)
        return outcomes_of(report)


def outcomes_of(report: Path) -> dict[str, str]:
    """
    Read how tests ended.

    Parameters
    ----------
    report : Path
        JUnit XML, as pytest writes it.

    Returns
    -------
    dict of str to str
        As `run_tests` returns them.
    """
    found: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("name", "").split("[")[0]
        ended = "passed" if case.find("skipped") is None else "skipped"
        if case.find("failure") is not None or case.find("error") is not None:
            ended = "failed"
        found[name] = max(found.get(name, ended), ended, key=_OUTCOMES.index)
    return found


if __name__ == "__main__":
    sys.exit(main())
