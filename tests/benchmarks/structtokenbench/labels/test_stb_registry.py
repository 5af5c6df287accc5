"""Do the tables of tasks and of published numbers say what the paper says?"""

from decimal import ROUND_HALF_UP, Decimal
from importlib.resources import files

import pytest

from provq_protein.errors import ConfigError
from structtokenbench.published import published
from structtokenbench.tasks import GROUPS, TASKS, read_tasks, task_named

NAMES = [
    "BindInt",
    "BindBio",
    "BindShake",
    "CatInt",
    "CatBio",
    "Con",
    "Rep",
    "Ept",
    "FlexRMSF",
    "FlexBFactor",
    "FlexNEQ",
    "Homo",
]


def test_there_are_12_tasks_and_24_task_splits():
    assert list(TASKS) == NAMES
    assert sum(len(task.tests) for task in TASKS.values()) == 24
    assert {group: sum(t.group == group for t in TASKS.values()) for group in GROUPS} == {
        "functional": 8,
        "physicochemical": 3,
        "structural": 1,
    }
    assert [TASKS[f"Flex{name}"].label_scale for name in ("RMSF", "BFactor", "NEQ")] == [
        1,
        0.01,
        0.1,
    ]
    assert [name for name, task in TASKS.items() if task.level == "chain"] == ["Homo"]
    assert TASKS["Homo"].num_outputs == 45


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("column", published().columns)
def test_printed_averages_are_means_of_the_printed_rows(group, column):
    """All 21 agree to the printed digits; none needs an exception."""
    rows = [
        Decimal(str(values[column]))
        for (task, _), values in published().scores.items()
        if TASKS[task].group == group
    ]
    assert len(rows) == {"functional": 15, "physicochemical": 6, "structural": 3}[group]
    mean = (sum(rows) / len(rows)).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert mean == Decimal(str(published().averages[group][column])).quantize(Decimal("0.01"))


def test_published_codebooks_can_be_read():
    rows = {row.model: row for row in published().codebooks}
    assert list(rows) == ["VanillaVQ", "VanillaVQ+ProVQ", "AminoAseed", "AminoAseed+ProVQ"]
    assert rows["AminoAseed+ProVQ"].cameo_utilization == 85.36
    assert rows["VanillaVQ"].distance == 46.80


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "Con"', 'name = "Con"\nnotes = "x"', r"task 6: unknown keys \['notes'\]"),
        ("num_outputs = 45\n", "", r"task 12: .*missing keys \['num_outputs'\]"),
        ("num_outputs = 45", 'num_outputs = "45"', "num_outputs must be int, got '45'"),
        ("num_outputs = 45", "num_outputs = 1", "num_outputs 1 does not fit target 'classes'"),
        ('metric = "spearman"', 'metric = "auroc"', "metric must be one of spearman"),
        ('name = "Con"', 'name = "Rep"', "two tasks of one name"),
        ("sizes = { train = 68", "sizes = { training = 68", r"unknown keys \['training'\]"),
    ],
)
def test_a_registry_with_an_error_is_refused(tmp_path, old, new, message):
    text = (files("structtokenbench") / "tables" / "tasks.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "tasks.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_tasks(path)


def test_names_of_splits_are_made_alike():
    assert TASKS["CatInt"].split_name("superfamily") == "superfamily_test"
    assert TASKS["Homo"].split_name("family") == "test_family_holdout"
    with pytest.raises(ConfigError, match="task BindShake: no split 'fold'; it has train"):
        TASKS["BindShake"].split_name("fold")
    with pytest.raises(ConfigError, match="no task 'Bind'; the tasks are BindInt"):
        task_named("Bind")
