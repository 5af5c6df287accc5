"""A results file: nothing measured is lost, and nothing damaged is taken for a result."""

import json

import pytest

from structtokenbench.results import ResultsError, ResultsFile, read_results, result_key


def _line(key, value=1.0):
    return {"kind": "probe", "key": key, "value": value}


def test_what_was_added_is_found_by_another_reader(tmp_path):
    path = tmp_path / "deep" / "results.jsonl"
    results = ResultsFile(path)
    assert len(results) == 0
    results.add(_line("a"))
    results.add(_line("b", 0.25))
    again = ResultsFile(path)
    assert [one["key"] for one in again] == ["a", "b"]
    assert "b" in again
    assert "c" not in again
    assert [one["value"] for one in read_results(path)] == [1.0, 0.25]


def test_a_torn_last_line_is_dropped_and_the_others_stay(tmp_path):
    path = tmp_path / "results.jsonl"
    ResultsFile(path).add(_line("a"))
    with path.open("ab") as stream:
        stream.write(b'{"format": "structtokenbench-result", "key": "to')
    results = ResultsFile(path)
    assert [one["key"] for one in results] == ["a"]
    results.add(_line("b"))
    assert [one["key"] for one in read_results(path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: no JSON"),
        ("[]", "line 2: no result of structtokenbench"),
        (json.dumps({"format": "structtokenbench-result"}), "line 2: no result"),
        (
            json.dumps({"format": "structtokenbench-result", "key": "x", "format_version": 9}),
            "line 2: format version 9; this release reads 1",
        ),
    ],
)
def test_a_damaged_line_is_named(tmp_path, line, message):
    path = tmp_path / "results.jsonl"
    ResultsFile(path).add(_line("a"))
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ResultsError, match=message):
        ResultsFile(path)


def test_numbers_that_json_lacks_are_refused_and_nothing_is_written(tmp_path):
    results = ResultsFile(tmp_path / "results.jsonl")
    results.add(_line("a"))
    with pytest.raises(ValueError, match="JSON"):
        results.add(_line("b", float("nan")))
    assert [one["key"] for one in read_results(results.path)] == ["a"]


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(ResultsError, match="cannot be read"):
        list(read_results(tmp_path / "none.jsonl"))


def test_a_key_changes_with_everything_in_it():
    keys = {result_key(task="Rep", seed=seed, deep={"a": [seed]}) for seed in range(5)}
    assert len(keys) == 5
