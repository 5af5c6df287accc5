"""Do the sentences of the report follow from the numbers?"""

import json

import numpy as np
import pytest

from structtokenbench.report.coverage import grouped
from structtokenbench.report.findings import (
    codebook_sentences,
    comparison_table,
    sensitivity_sentences,
    sentences,
    task_sentences,
)
from structtokenbench.report.html import inline_svg
from structtokenbench.report.markdown import escaped
from structtokenbench.report.method import different_data, rates
from structtokenbench.report.reading import read
from structtokenbench.report.scores import ScoreSet, score_sets
from structtokenbench.report.values import Trouble


def scores_of(results: list) -> ScoreSet:
    """The only set of published splits."""
    return score_sets(read(json.loads(json.dumps(results))), "published")[0]


def one_task(make, values: dict[str, float], *, width: float = 0.03, task: str = "BindShake"):
    """One task-split with a score for each tokenizer."""
    return [
        make["probe"](name, task, {"test": make["split"](value, width)})
        for name, value in values.items()
    ]


def test_better_means_that_intervals_do_not_overlap(make) -> None:
    scores = scores_of(one_task(make, {"a": 0.60, "b": 0.64, "c": 0.68}))
    assert task_sentences(scores) == (
        "BindShake Org (AUROC): c (68.0 [65.0, 71.0]) is better than a (60.0 [57.0, 63.0]).",
    )
    cells = [[cell.text for cell in row.cells] for row in comparison_table(scores).rows]
    assert cells == [
        ["a", "", "0 / 0 / 1", "0 / 1 / 0"],
        ["b", "0 / 0 / 1", "", "0 / 0 / 1"],
        ["c", "1 / 0 / 0", "0 / 0 / 1", ""],
    ]
    first = sentences(scores)[0]
    assert first == (
        "Functional sites: c has the highest average, 68.0 over 1 row that all have. Beyond "
        "intervals it is above b (64.0) in 0 and a (60.0) in 1 of them."
    )


def test_no_difference_is_said_where_none_can_be_told(make) -> None:
    scores = scores_of(one_task(make, {"a": 0.60, "b": 0.61}))
    assert task_sentences(scores) == ()
    assert "No two tokenizers can be told apart beyond intervals in BindShake Org." in sentences(
        scores
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.51, "in the interval of 1 of 1"), (0.58, "Not near chance: BindShake Org (58.0 [55.0")],
)
def test_shuffled_tokens_are_held_against_chance(make, value, expected) -> None:
    scores = scores_of(one_task(make, {"a": 0.7, "shuffled:a": value}))
    said = [text for text in sentences(scores) if text.startswith("shuffled:a:")]
    assert len(said) == 1
    assert expected in said[0]
    assert said[0].endswith("compare it with the control position.")


def test_a_probe_without_positions_is_a_tokenizer_of_its_own(make) -> None:
    """Its scores must not replace those of the usual probe, and say what chance is."""
    results = one_task(make, {"a": 0.7, "shuffled:a": 0.6})
    hidden = one_task(make, {"shuffled:a": 0.5, "a": 0.65})
    for line in hidden:
        line["settings"]["positions"] = 1
    scores = scores_of([*results, *hidden])
    assert [one.label for one in scores.mains] == ["a", "a without positions"]
    assert [one.label for one in scores.controls] == ["shuffled:a", "shuffled:a without positions"]
    assert [one.base for one in scores.controls] == ["a", "a"]
    row = scores.scored[0]
    shown = {one.label: row.score(one.label).value for one in scores.tokenizers}
    assert shown == {
        "a": 0.7,
        "a without positions": 0.65,
        "shuffled:a": 0.6,
        "shuffled:a without positions": 0.5,
    }
    said = [text for text in sentences(scores) if text.startswith("shuffled:a without")]
    assert len(said) == 1
    assert "in the interval of 1 of 1 task-split" in said[0]
    assert "nothing is left to predict from" in said[0]


def test_controls_are_held_against_tokenizers(make) -> None:
    values = {"a": 0.6, "b": 0.7, "position": 0.65, "random_codebook:a": 0.8}
    text = "\n".join(sentences(scores_of(one_task(make, values, width=0.01))))
    assert (
        "Control position: a is above it beyond intervals in 0 of 1 and below it in BindShake Org; "
        "b is above it beyond intervals in 1 of 1." in text
    )
    assert (
        "Control random_codebook:a: a is above it beyond intervals in 0 of 1 and below it in "
        "BindShake Org." in text
    )
    assert "cannot be told from chance" not in text


def test_a_tokenizer_at_chance_is_named(make) -> None:
    text = sentences(scores_of(one_task(make, {"a": 0.51})))
    assert text == (
        "Functional sites: a averages 51.0 over 1 of 15 rows.",
        "a cannot be told from chance in BindShake Org.",
    )


def test_codes_and_pairs_in_sentences(make) -> None:
    rng = np.random.default_rng(0)
    lines = [make["codebook"]("a", "casp14", rng), make["sensitivity"]("a", "apo_holo", rng),
             make["sensitivity"]("shuffled:a", "apo_holo", rng)]  # fmt: skip
    lines[0]["usage"] |= {"utilization": 0.25, "normalized_perplexity": 0.125}
    found = read(lines)
    assert codebook_sentences(found) == (
        "CASP14: a uses 128 of 512 codes (25.0 %), with a normalized perplexity of 0.12.",
    )
    said = sensitivity_sentences(found)
    assert said[0].endswith("tokenizers: it is above 0 for a (0.70).")
    assert said[1].endswith("controls: it is not clearly above 0 for shuffled:a (0.00).")
    assert "alone reach 0.11" in said[2]


def test_rates_at_the_end_of_the_sweep_and_mixed_data_are_told(make) -> None:
    lines = one_task(make, {"a": 0.6, "b": 0.7})
    lines[0]["probe"]["learning_rate"] = 0.03
    lines[1]["data"]["content_hash"] = "other"
    found = read(lines)
    assert rates(found) == (
        "Of 2 probes, 1 did best with the lowest learning rate of the sweep and 1 with the "
        "highest.",
    )
    assert different_data(found)[0].startswith("Tokenizers were measured on different data in Bind")


def test_reasons_of_one_kind_are_counted_together() -> None:
    problems = [Trouble(id=f"{at}abc_A", reason=f"{at}abc_A: chain of {at} residues, too short")
                for at in range(5)]  # fmt: skip
    problems.append(Trouble(id="x", reason="no file"))
    assert grouped(problems) == (
        "5: …: chain of … residues, too short (0abc_A, 1abc_A, 2abc_A and 2 more)",
        "1: no file (x)",
    )


def test_markup_of_names_is_taken_away() -> None:
    assert escaped("a|b *c* _d_ 1abc_A <e>\n[f](g)") == (r"a\|b \*c\* \_d\_ 1abc_A \<e\> [f]\(g)")


def test_svg_is_without_style_sheet_and_foreign_ids() -> None:
    text = (
        '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "x" "http://www.w3.org/x.dtd">\n'
        '<svg xmlns="http://www.w3.org/2000/svg"><metadata>http://purl.org</metadata>'
        '<defs><style type="text/css">*{stroke: red}</style><path id="p"/></defs>'
        '<use xlink:href="#p" clip-path="url(#p)"/></svg>'
    )
    drawn = inline_svg(text, "n", 'say "x"')
    assert "http" not in drawn
    assert "red" not in drawn
    assert 'id="n-p"' in drawn
    assert 'href="#n-p" clip-path="url(#n-p)"' in drawn
    assert 'aria-label="say &quot;x&quot;"' in drawn
