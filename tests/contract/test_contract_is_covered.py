"""Does every sentence of the contract have its test, and do the pages show what was found?"""

import dataclasses
import importlib
import sys

import pytest


@pytest.fixture(scope="module")
def contract(repo_root):
    sys.path.insert(0, str(repo_root / "benchmarks"))
    yield importlib.import_module("contract.run")
    sys.path.remove(str(repo_root / "benchmarks"))


def test_every_sentence_has_one_test_and_every_test_a_sentence(contract):
    found = contract.sentences(contract.DOCUMENT)
    assert len(found) > 80
    assert contract.shortcomings(contract.DOCUMENT, contract.TESTS) == []


@pytest.mark.parametrize(
    ("text", "tests", "complaint"),
    [
        ("1. `a-b`: Yes.", "", "sentence a-b has no test test_a_b"),
        ("1. `a`: Yes.", "def test_a(): ...\ndef test_b(): ...", "test_b has no sentence"),
        ("1. `a`: Yes.", "def test_a(): ...\ndef test_a(): ...", "test_a is there 2 times"),
        ("1. `a`: Yes.\n2. `a`: No.", "def test_a(): ...", "test_a is the test of 2 sentences"),
        ("2. `a`: Yes.", "def test_a(): ...", "the sentences are not numbered from 1"),
        ("None.", "", "there are no sentences"),
    ],
)
def test_what_does_not_fit_is_named(contract, tmp_path, text, tests, complaint):
    document = tmp_path / "made.md"
    document.write_text(f"# Title\n\n## Group\n\n{text}\n")
    (tmp_path / "test_made.py").write_text(tests)
    assert any(line.startswith(complaint) for line in contract.shortcomings(document, tmp_path))


def test_every_list_item_of_the_document_is_a_sentence_with_a_name(contract):
    lines = contract.DOCUMENT.read_text().splitlines()
    numbered = [line for line in lines if line[:1].isdigit()]
    assert len(numbered) == len(contract.sentences(contract.DOCUMENT))


def test_every_option_is_in_the_document(contract):
    from provq_protein.structure.policies import ResiduePolicy

    text = contract.DOCUMENT.read_text().split("## Options")[1]
    names = [field.name for field in dataclasses.fields(ResiduePolicy)]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_the_agreement_page_shows_the_committed_results(contract):
    assert contract.agreement_run.main(["--check"]) == 0


def test_the_committed_results_have_no_disagreement_and_cover_all_sets(contract):
    results = contract.agreement_run.load(contract.agreement_run.RESULTS)
    assert contract.page.disagreements(results) == 0
    compared = {row["set"]: row["pair"] for row in contract.page.pairs(results)}
    assert compared.keys() == {"samples", "rcsb", "bm5", "casp14"}
    assert {row["reader"] for row in results["readers"]} == {"gemmi", "Bio.PDB"}


REPORT = """<testsuites><testsuite>
<testcase name="test_one[0]"><failure/></testcase><testcase name="test_one[1]"/>
<testcase name="test_two"><skipped/></testcase><testcase name="test_three"/>
<testcase name="test_four"><error/></testcase>
</testsuite></testsuites>"""


def test_of_several_cases_the_worst_counts(contract, tmp_path):
    path = tmp_path / "report.xml"
    path.write_text(REPORT)
    assert contract.outcomes_of(path) == {
        "test_one": "failed",
        "test_two": "skipped",
        "test_three": "passed",
        "test_four": "failed",
    }


def test_what_is_missing_turns_the_report_red(contract, tmp_path, monkeypatch, capsys):
    ends = {one.test: "passed" for one in contract.sentences(contract.DOCUMENT)}
    monkeypatch.setattr(contract, "run_tests", lambda path: ends)
    assert contract.report_sentences()
    assert f"{len(ends)} sentences, {len(ends)} with a test" in capsys.readouterr().out
    ends["test_gaps"] = "failed"
    assert not contract.report_sentences()
    assert not contract.report_goldens()
    del ends["test_gaps"]
    assert not contract.report_sentences()
    monkeypatch.setattr(contract.agreement_run, "RESULTS", tmp_path / "absent.json")
    assert not contract.report_agreement()
