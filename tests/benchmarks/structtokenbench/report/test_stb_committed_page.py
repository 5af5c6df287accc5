"""The committed report of the downstream benchmark shows the committed results."""

import pytest

from structtokenbench.report import write_report
from structtokenbench.results import read_results


def test_the_committed_report_shows_the_committed_results(repo_root, tmp_path):
    folder = repo_root / "benchmarks" / "structtokenbench" / "results"
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        pytest.skip("no results are committed")
    results = [one for path in files for one in read_results(path)]
    write_report(results, tmp_path / "structtokenbench")
    page = (tmp_path / "structtokenbench.md").read_text(encoding="utf-8")
    committed = repo_root / "docs" / "results" / "structtokenbench.md"
    assert page == committed.read_text(encoding="utf-8"), "run `make structtokenbench`"
