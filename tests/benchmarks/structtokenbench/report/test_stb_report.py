"""Does the report show the numbers of the results, and nothing that they do not say?"""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from provq_protein.errors import ConfigError
from structtokenbench.published import published
from structtokenbench.report import write_report


def pages(results: list, folder: Path, **options) -> tuple[str, str]:
    """Markdown and HTML of results that went through JSON, without figures."""
    lines = [json.loads(json.dumps(line, allow_nan=False)) for line in results]
    paths = write_report(lines, folder / "report", figures=False, **options)
    return paths[0].read_text(encoding="utf-8"), paths[1].read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """From a heading to the next of its level."""
    level, rest = re.search(rf"^(#+) {re.escape(title)}.*?\n(.*)", text, re.M | re.S).groups()
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.M)[0]


def tables(text: str) -> list[list[list[str]]]:
    """Cells of all Markdown tables."""
    found = []
    for block in re.findall(r"(?:^\|.*\n?)+", text, re.M):
        lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()]
        found.append([[cell.strip() for cell in line] for line in lines if "---" not in line[0]])
    return found


def row(table: list[list[str]], *start: str) -> dict[str, str]:
    """The row that begins so, by column."""
    line = next(line for line in table if tuple(line[: len(start)]) == start)
    return dict(zip(table[0], line, strict=True))


def two_tasks(make, names: tuple[str, ...], gain: float = 0.1) -> list:
    """BindInt and Con with all tokenizers, each better than the one before."""
    found = []
    for place, name in enumerate(names):
        value = 0.6 + gain * place
        for task in ("BindInt", "Con"):
            values = {"fold_test": make["split"](value), "superfamily_test": make["split"](value)}
            found.append(make["probe"](name, task, values))
    return found


def test_cells_are_the_numbers_of_the_results(make, tmp_path) -> None:
    values = {
        "fold_test": make["split"](0.71239, 0.0213, proteins=87),
        "superfamily_test": make["split"](0.8),
    }
    text, page = pages([make["probe"]("default", "BindInt", values)], tmp_path)
    table = tables(section(text, "Table 3"))[0]
    cells = row(table, "BindInt", "Fold")
    assert cells["default"] == "71.2 [69.1, 73.4]"
    assert cells["n"] == "87"
    for name, value in published().scores["BindInt", "fold_test"].items():
        assert cells[f"{name} (paper)"] == f"{value:.2f}"
    assert "71.2<small>[69.1, 73.4]</small>" in page
    protocol = tables(section(text, "By the published protocol"))[0]
    assert row(protocol, "BindInt", "Fold")["default"] == "69.2"


def test_averages_are_over_the_rows_that_all_have(make, tmp_path) -> None:
    results = two_tasks(make, ("a", "b"))
    results[0]["probe"]["splits"]["fold_test"] = make["split"](0.9)
    # Con of b is missing: only BindInt can be averaged for both.
    text, _ = pages(results[:3], tmp_path)
    table = tables(section(text, "Table 3"))[0]
    shared = row(table, "**average of 2 rows of 15**")
    assert (shared["a"], shared["b"]) == ("75.0", "70.0")
    paper = [published().scores["BindInt", split]["ESM3"] for split in ("fold_test",
             "superfamily_test")]  # fmt: skip
    assert shared["ESM3 (paper)"] == f"{sum(paper) / 2:.2f}"
    own = row(table, "**average of its own rows**")
    assert (own["a"], own["b"]) == ("67.5 (4)", "70.0 (2)")
    assert row(table, "**average of all 15 rows**")["ESM3 (paper)"] == "69.24"


def test_local_and_scope_splits_stand_apart_and_are_in_no_average(make, tmp_path) -> None:
    results = two_tasks(make, ("a", "b"))
    plain, _ = pages(results, tmp_path)
    for name in ("a", "b"):
        local = {"local_test": make["split"](0.999)}
        results.append(make["probe"](name, "CatBio", local, splits="local"))
        held = {"test_fold_holdout": make["split"](0.997)}
        results.append(make["probe"](name, "HomoSCOPe", held, splits="scope"))
    text, _ = pages(results, tmp_path)
    published_part = section(text, "Table 3")
    assert tables(published_part) == tables(section(plain, "Table 3"))
    local = tables(section(text, "Tasks split anew"))[0]
    assert row(local, "CatBio", "Local")["a"].startswith("**99.9** ")
    assert "average" not in " ".join(line[0] for line in local)
    scope = tables(section(text, "SCOPe holdouts"))[0]
    assert row(scope, "HomoSCOPe", "Fold")["b"].startswith("**99.7** ")
    assert "CatBio, all tokenizers: measured with local splits instead." in (published_part)
    assert "99.9" not in published_part


def test_missing_and_failed_cells_have_reasons(make, tmp_path) -> None:
    results = two_tasks(make, ("a", "b"))
    del results[3]["probe"]
    results[3]["failed"] = "split train has one class"
    nothing = make["split"](float("nan"))
    nothing["note"] = "labels of one class only"
    results[0]["probe"]["splits"]["fold_test"] = nothing
    text, page = pages(results, tmp_path)
    part = section(text, "Table 3")
    table = tables(part)[0]
    assert row(table, "Con", "Fold")["b"] == "-"
    assert row(table, "BindInt", "Fold")["a"] == "-"
    assert "* Con, b: split train has one class." in part
    assert "* BindInt Fold, a: labels of one class only." in part
    assert "all tokenizers: not measured." in part
    assert "nan" not in re.sub("provenance", "", text).lower().split()
    assert ">nan<" not in page


def test_controls_come_after_tokenizers(make, tmp_path) -> None:
    names = ("shuffled:a", "position", "a", "random_codebook:a", "b", "amino_acid")
    results = two_tasks(make, names)
    results += [make["codebook"](name, "casp14", np.random.default_rng(0))
                for name in names]  # fmt: skip
    text, _ = pages(results, tmp_path)
    part = section(text, "Table 3")
    main, controls = tables(part)[:2]
    assert main[0][3:5] == ["a", "b"]
    assert "position" not in main[0]
    assert controls[0][3:] == ["position", "amino_acid", "shuffled:a", "random_codebook:a"]
    first = [line[0] for line in tables(section(text, "Table 4"))[0]]
    assert first[1:3] == ["a", "b"]
    assert first.index("**controls**") == 3
    # A control may be the best of all; it is no tokenizer and is not compared with them.
    assert "position has the highest average" not in text


def test_codebooks_stand_beside_the_papers(make, tmp_path) -> None:
    line = make["codebook"]("a", "cameo2022", np.random.default_rng(0))
    line["usage"] |= {"utilization": 0.51234, "normalized_perplexity": 0.34567}
    line["geometry"]["mean_distance_with_diagonal"] = 12.345
    text, _ = pages([line], tmp_path)
    usage, geometry = tables(section(text, "Table 4"))
    ours = row(usage, "a")
    assert (ours["UR, %"], ours["norm. perplexity"]) == ("51.2", "0.3457")
    assert (ours["UR of 8, %"], ours["norm. perplexity of 1"]) == ("9.84", "0.0456")
    assert row(usage, "AminoAseed+ProVQ")["UR of 8, %"] == "85.36"
    assert row(geometry, "a")["mean distance"] == "12.35"
    assert row(geometry, "AminoAseed")["mean distance"] == "42.71"
    line["geometry"] = None
    text, _ = pages([line], tmp_path)
    assert "Distances and distinctiveness" not in text


def test_sensitivity_shows_all_three_correlations(make, tmp_path) -> None:
    text, _ = pages([make["sensitivity"]("a", "apo_holo", np.random.default_rng(0))], tmp_path)
    cells = row(tables(section(text, "Sensitivity"))[0], "a")
    assert cells["pairs"] == "60 of 61"
    assert cells["normalized, Spearman"] == "0.70 [0.60, 0.80]"
    assert cells["raw (published), Pearson"] == "0.23 [0.13, 0.33]"
    assert cells["length alone, Spearman"] == "0.11 [0.01, 0.21]"
    assert "1: 1abc.A: has no tokens (1abc.A-2abc.A)" in section(text, "Coverage")


def test_coverage_counts_and_groups_reasons(make, tmp_path) -> None:
    results = two_tasks(make, ("a", "b"))
    results[0]["token_problems"] = []
    text, _ = pages(results, tmp_path)
    part = section(text, "Coverage")
    cells = row(tables(part)[0], "BindInt", "union", "train")
    assert (cells["listed"], cells["used"], cells["leaks dropped"]) == ("130", "105", "7")
    assert cells["items without tokens"] == "0 to 1"
    fold = row(tables(part)[0], "", "", "fold_test")
    assert (fold["labels scored, %"], fold["proteins scored"]) == ("97.5", "100")
    assert fold["items without tokens"] == "0"
    # Both tokenizers' results list the same four files; they are four and not eight.
    grouped = "4: structure file … is missing (1abc_A, 2abc_A, 3abc_A and 1 more)"
    assert f"* BindInt, train: {grouped}" in part
    assert "* BindInt, b: 1: 2 of 40 residues are resolved (train: 5abc_A)" in part
    assert "* Con, all tokenizers: 1: 2 of 40" in part


def test_html_needs_nothing_else_and_escapes(make, tmp_path) -> None:
    bad = '<script src="https://x/y.js">&'
    results = two_tasks(make, ("a", f"m{bad}"))
    del results[0]["probe"]
    results[0]["failed"] = f"chain {bad} | pipe"
    results[1]["data"]["coverage"]["train"]["problems"] = [{"id": bad, "reason": f"no {bad}"}]
    lines = json.loads(json.dumps([*results, *make["everything"](("default",), ("position",))]))
    paths = write_report(lines, tmp_path / "a b.v1", title=f"T {bad}")
    assert [path.name for path in paths[:4]] == [
        "a b.v1.md", "a b.v1.html", "a b.v1_tasks.svg", "a b.v1_tasks.png"
    ]  # fmt: skip
    assert all(path.stat().st_size > 1_000 for path in paths)
    page = paths[1].read_text(encoding="utf-8")
    tags = re.findall(r"<[a-zA-Z][^>]*>", page)
    assert not [tag for tag in tags if re.search(r"(src|href)\s*=\s*[\"']?(?!#|[\"']#)", tag)]
    assert not [tag for tag in tags if re.match(r"<(script|link|iframe|img|object|embed)", tag)]
    assert "@import" not in page
    assert not re.findall(r"url\((?!#)", page)
    assert page.count("<svg") == len([path for path in paths if path.suffix == ".svg"]) == 5
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', page)) <= set(ids)
    text = paths[0].read_text(encoding="utf-8")
    assert "<script" not in re.sub(r"\\<", "", text)
    assert "(a%20b.v1_tasks.svg)" in text
    widths = [{len(line) for line in table} for table in tables(text)]
    assert all(len(one) == 1 for one in widths)


def test_figures_are_the_same_when_drawn_again(make, tmp_path) -> None:
    lines = two_tasks(make, ("a", "b"))
    first, second = (
        write_report(lines, tmp_path / name / "report")[2].read_bytes() for name in ("x", "y")
    )
    assert first == second


def test_odd_scores_can_be_drawn(make, tmp_path) -> None:
    """A value beyond its interval or without one, a tokenizer without score, or without codes."""
    results = two_tasks(make, ("a", "b", "shuffled:c"))
    first = results[0]["probe"]["splits"]["fold_test"]["estimates"]["pooled"]
    first |= {"low": 0.61, "high": 0.65}
    second = results[1]["probe"]["splits"]["fold_test"]["estimates"]["pooled"]
    second |= {"low": None, "high": None, "note": "no interval"}
    for line in results[2:4]:
        del line["probe"]
        line |= {"failed": "no tokens", "tokenizer": line["tokenizer"] | {"codes": None}}
    paths = write_report(results, tmp_path / "report.md")
    assert [path.name for path in paths[:3]] == ["report.md", "report.html", "report_tasks.svg"]
    table = tables(section(paths[0].read_text(encoding="utf-8"), "Table 3"))[0]
    assert row(table, "BindInt", "Fold")["a"] == "60.0 [61.0, 65.0]"
    assert row(table, "Con", "Fold")["a"] == "60.0"
    assert row(table, "Con", "Fold")["b"] == "-"


@pytest.mark.parametrize("wrong", [{"kind": "telepathy"}, {"task": "Bind"}, {"probe": 3}, {}])
def test_results_that_cannot_be_read_are_named(make, tmp_path, wrong) -> None:
    results = two_tasks(make, ("a", "b"))
    broken = make["head"]("probe", "a", "k123") | {"task": "Rep", "splits": "published"} | wrong
    text, _ = pages([*results, broken, {"kind": "probe", "key": "bare"}], tmp_path)
    part = section(text, "Results that are not shown")
    assert "k123" in part or "telepathy" in part
    assert "bare" in part
    with pytest.raises(ConfigError, match="structtokenbench run"):
        pages([{"kind": "telepathy"}], tmp_path)


def test_two_measurements_of_one_cell_are_told(make, tmp_path) -> None:
    results = two_tasks(make, ("a",))
    again = make["probe"]("a", "BindInt", {"fold_test": make["split"](0.9)}, key="later")
    again["data"]["content_hash"] = "other"
    other = make["probe"]("a", "BindInt", {"fold_test": make["split"](0.3)}, key="exact")
    other["data"]["labels"] = "exact"
    namesake = make["probe"]("a", "Con", {"fold_test": make["split"](0.2)}, key="namesake")
    namesake["tokenizer"]["fingerprint"] = "0123456789"
    text, _ = pages([*results, again, other, namesake], tmp_path)
    union = section(text, "Table 3: the twelve tasks (union labels")
    table = tables(union)[0]
    assert row(table, "BindInt", "Fold")["a (f-a)"].startswith("90.0")
    assert row(table, "Con", "Fold")["a (01234567)"].startswith("20.0")
    exact = tables(section(text, "Table 3: the twelve tasks (exact labels"))[0]
    assert row(exact, "BindInt", "Fold")["a (f-a)"].startswith("30.0")
    assert "later is shown and a-BindInt-published is not" in text


def test_projected_code_tables_are_named(make, tmp_path) -> None:
    results = two_tasks(make, ("default", "wide"))
    for line in results:
        line["settings"] = {"name": "fast"}
        if line["tokenizer"]["name"] == "wide":
            line["settings"]["table_dims"] = 32
    method = section(pages(results, tmp_path)[0], "How it was measured")
    assert "table_dims not set or 32" in method
    assert "Codes of wide with more than 32 dimensions were projected on 32" in method
