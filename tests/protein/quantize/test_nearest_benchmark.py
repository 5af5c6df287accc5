"""Does the benchmark of the search compare like with like, and write what it measured?"""

import importlib
import json
import sys

import pytest
import torch
from rich.console import Console


@pytest.fixture(scope="module")
def benchmark(repo_root):
    sys.path.append(str(repo_root / "benchmarks"))
    yield importlib.import_module("quantizers.nearest_codes")
    sys.path.remove(str(repo_root / "benchmarks"))


def in_this_process(benchmark):
    """Return the measurement of memory without its fresh process, which may set the threads."""

    def measured(form, shape, seed):
        threads = torch.get_num_threads()
        try:
            return benchmark.rise_of_memory(form, shape, seed)
        finally:
            torch.set_num_threads(threads)

    return measured


def test_results_hold_times_memory_and_ties_of_every_shape(
    benchmark, tmp_path, capsys, monkeypatch
):
    # Fresh processes take seconds to start; see the next test for one.
    monkeypatch.setattr(benchmark, "peak_memory", in_this_process(benchmark))
    shape = benchmark.Shape(300, 70, 4)
    threads = torch.get_num_threads()
    results = benchmark.measure([shape], repeats=2, seed=1)
    assert torch.get_num_threads() == threads
    path = tmp_path / "new" / "results.json"
    benchmark.save_results(path, results)
    assert [one.name for one in path.parent.iterdir()] == ["results.json"]
    read = json.loads(path.read_text(encoding="utf-8"))
    assert read == results
    (case,) = read["cases"]
    assert (case["latents"], case["codes"], case["dim"]) == shape
    assert case["rounding_ties_with_other_id"] == 0
    assert case["all_distances_bytes"] == 300 * 70 * 4
    for name in ("expanded", "tiled"):
        assert 0 < case["seconds"][name]["min"] <= case["seconds"][name]["max"]
        assert case["peak_bytes"][name] is None or case["peak_bytes"][name] >= 0
    Console(width=110).print(benchmark.as_table(results))
    assert "300 x 70 x 4" in capsys.readouterr().out


def test_memory_of_all_distances_at_once_is_seen(benchmark):
    shape = benchmark.Shape(1024, 8192, 4)
    expanded = benchmark.peak_memory("expanded", shape, 0)
    tiled = in_this_process(benchmark)("tiled", shape, 0)
    if expanded is None:
        pytest.skip("this system does not tell the peak memory of a process")
    assert expanded >= 2 * 4 * 1024 * 8192
    assert tiled < 4 * 1024 * 8192


def test_another_id_is_accepted_only_for_a_rounding_tie(benchmark):
    latents = torch.tensor([[0.0], [2.0]])
    codes = torch.tensor([[1.0], [-1.0 - 2e-7], [3.0]])
    ids = torch.tensor([0, 2])
    same = {"expanded": ids, "tiled": ids}
    assert benchmark.check_same(latents, codes, same) == 0
    assert benchmark.check_same(latents, codes, {**same, "expanded": torch.tensor([1, 2])}) == 1
    for name, other in (("expanded", [2, 2]), ("tiled", [1, 2])):
        with pytest.raises(AssertionError, match="1 of 2"):
            benchmark.check_same(latents, codes, {**same, name: torch.tensor(other)})


def test_a_count_of_rounds_below_one_is_refused(benchmark, capsys):
    assert benchmark.main(["--repeats", "0"]) == 2
    assert "--repeats must be 1 or more, got 0" in capsys.readouterr().err
