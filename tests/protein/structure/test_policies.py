"""Does each option of a residue policy do what it says, and is nothing else changed?"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from provq_protein.errors import ConfigError, StructureError
from provq_protein.structure import contents
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.cif_columns import UnusualLayoutError
from provq_protein.structure.policies import ResiduePolicy
from provq_protein.structure.reading import read_backbones
from provq_protein.structure.taking import finish_chain
from provq_protein.tokens.inputs import per_chain

SAMPLES = ("1a8o.cif", "1as5.cif.gz", "1gbt.bcif.gz", "3jqh.cif", "4zhl.bcif", "2xhe.pdb.gz")


@pytest.fixture
def samples(repo_root: Path) -> Path:
    """Return the folder of sample structures."""
    return repo_root / "data" / "structures"


def policy(**options: object) -> ResiduePolicy:
    return ResiduePolicy(**options)  # type: ignore[arg-type]


def as_tuples(chains: list[Backbone]) -> list[tuple]:
    """Return all that the chains hold, in comparable form."""
    return [
        tuple(v.tobytes() if isinstance(v, np.ndarray) else v for v in vars(chain).values())
        for chain in chains
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": 0}, "model must be a whole number from 1, or 'all'; got 0"),
        ({"model": True}, "model must be"),
        ({"model": "first"}, "model must be"),
        ({"chains": "A"}, "chains must be a list of chain ids"),
        ({"chains": 3}, "chains must be a list of chain ids"),
        ({"chains": [3]}, "chains must be a list of chain ids"),
        ({"assembly": ""}, "assembly must be one word; got ''"),
        ({"assembly": 1}, "assembly must be one word"),
        ({"numbering": "pdb"}, "numbering must be one of auth, label; got 'pdb'"),
        ({"altloc": "AB"}, "altloc must be occupancy, first or one character"),
        ({"altloc": " "}, "altloc must be one word"),
        ({"unresolved": "mask"}, "unresolved must be one of keep, drop"),
        ({"min_plddt": 101}, "min_plddt must be a number from 0 to 100; got 101"),
        ({"min_plddt": float("nan")}, "min_plddt must be a number"),
        ({"min_plddt": "70"}, "min_plddt must be a number"),
        ({"min_plddt": True}, "min_plddt must be a number"),
        ({"plddt_mode": "drop"}, "min_plddt must be given if plddt_mode is"),
        ({"plddt_mode": "zero", "min_plddt": 70}, "plddt_mode must be one of mask, drop"),
        ({"sequence": "seqres"}, "sequence must be one of resolved, full"),
        ({"b_factors": "auto"}, "b_factors must be one of declared, plddt"),
        ({"sequence": "full", "unresolved": "drop"}, "unresolved='drop' leaves some out"),
        (
            {"sequence": "full", "min_plddt": 1, "plddt_mode": "drop"},
            "plddt_mode='drop' leaves some out",
        ),
    ],
)
def test_a_policy_that_means_nothing_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        policy(**options)
    assert message in str(caught.value)


def test_chains_and_model_beside_a_policy_must_agree_with_it(samples: Path) -> None:
    path = samples / "2xhe.pdb.gz"
    assert [c.chain_id for c in read_backbones(path, chains=["B"], policy=policy())] == ["B"]
    agreeing = read_backbones(path, chains=["B"], policy=policy(chains=["B"]))
    assert [chain.chain_id for chain in agreeing] == ["B"]
    with pytest.raises(ConfigError, match="beside a policy with chains="):
        read_backbones(path, chains=["B"], policy=policy(chains=["A"]))
    with pytest.raises(ConfigError, match="beside a policy with model='all'"):
        read_backbones(path, model=2, policy=policy(model="all"))


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"altloc": "first"},
        {"altloc": "B"},
        {"unresolved": "drop"},
        {"min_plddt": 30, "b_factors": "plddt"},
        {"min_plddt": 30, "b_factors": "plddt", "plddt_mode": "drop"},
        {"numbering": "label"},
    ],
    ids=str,
)
def test_quick_and_general_readers_agree_under_a_policy(
    samples: Path, name: str, options: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outcome() -> object:
        try:
            return as_tuples(read_backbones(samples / name, policy=policy(**options)))
        except StructureError as error:
            return str(error)

    def refuse(*_: object) -> None:
        raise UnusualLayoutError

    quick = outcome()
    monkeypatch.setattr(contents, "_quick_table", refuse)
    assert outcome() == quick


@pytest.mark.parametrize("name", ["1as5.cif.gz", "1lcd.pdb.gz"])
def test_all_models_are_what_each_is_alone(samples: Path, name: str) -> None:
    together = read_backbones(samples / name, policy=policy(model="all"))
    count = {"1as5.cif.gz": 14, "1lcd.pdb.gz": 3}[name]
    assert [chain.model for chain in together] == list(range(1, count + 1))
    alone = [chain for model in range(1, count + 1) for chain in read_backbones(
        samples / name, model=model)]  # fmt: skip
    assert as_tuples(together) == as_tuples(alone)
    third = read_backbones(samples / name, policy=policy(model=3))
    assert as_tuples(third) == as_tuples(together[2:3])


def test_label_numbering_replaces_ids_and_numbers(samples: Path) -> None:
    author = read_backbones(samples / "4zhl.bcif")
    label = read_backbones(samples / "4zhl.bcif", policy=policy(numbering="label"))
    assert [chain.chain_id for chain in author] == ["U", "P"]
    assert [chain.chain_id for chain in label] == ["A", "B"]
    for before, after in zip(author, label, strict=True):
        assert after.author_numbers.tolist() == before.label_numbers.tolist()
        assert set(after.insertion_codes) == {""}
        assert after.coords.tobytes() == before.coords.tobytes()
    assert any(author[0].insertion_codes)
    only = read_backbones(samples / "4zhl.bcif", policy=policy(numbering="label", chains=["B"]))
    assert as_tuples(only) == as_tuples(label[1:])
    with pytest.raises(StructureError, match=r"chain U is not .* it has A, B"):
        read_backbones(samples / "4zhl.bcif", policy=policy(numbering="label", chains=["U"]))


def test_a_pdb_file_has_no_label_numbering(samples: Path) -> None:
    with pytest.raises(StructureError, match=r"2xhe.pdb.gz: chain A: .*label_seq_id.*'auth'"):
        read_backbones(samples / "2xhe.pdb.gz", policy=policy(numbering="label"))


def alternatives(pdb) -> str:
    """Return a residue with B before A, which is of higher occupancy, and C of fewer atoms."""
    pdb.placed = 1
    for altloc, occupancy, atoms in (("B", 0.3, 3), ("A", 0.5, 3), ("C", 0.9, 2)):
        for name in ("N", "CA", "C")[:atoms]:
            shift = {"A": 0.0, "B": 0.1, "C": 0.2}[altloc]
            pdb.atom(name, "ALA", 1, altloc=altloc, occupancy=occupancy, shift=shift)
    pdb.residue("GLY", 2)
    return pdb.text()


@pytest.mark.parametrize(
    ("altloc", "shift", "resolved"),
    [
        ("occupancy", 0.0, True),
        ("first", 0.1, True),
        ("A", 0.0, True),
        ("B", 0.1, True),
        ("C", 0.2, False),
        ("Z", 0.0, True),
    ],
)
def test_the_alternate_location_that_was_asked_for(
    pdb, write_file: Callable[..., Path], altloc: str, shift: float, *, resolved: bool
) -> None:
    path = write_file(alternatives(pdb))
    chain = read_backbones(path, policy=policy(altloc=altloc))[0]
    default = read_backbones(path)[0]
    assert chain.coords[0, 1] == pytest.approx(default.coords[0, 1] + shift, abs=1e-3)
    assert chain.resolved.tolist() == [resolved, True]


def incomplete(pdb) -> str:
    for number in range(1, 6):
        pdb.residue("ALA", number, atoms=("N", "CA") if number in (2, 5) else ("N", "CA", "C"))
    return pdb.text()


def test_unresolved_residues_are_dropped(pdb, write_file: Callable[..., Path]) -> None:
    path = write_file(incomplete(pdb))
    kept, dropped = (
        read_backbones(path, policy=policy(unresolved=mode))[0] for mode in ("keep", "drop")
    )
    assert kept.resolved.tolist() == [True, False, True, True, False]
    assert dropped.author_numbers.tolist() == [1, 3, 4]
    assert dropped.label_numbers.tolist() == [1, 3, 4]
    assert dropped.coords.tobytes() == kept.coords[kept.resolved].tobytes()


def test_a_chain_without_a_residue_left_is_named_and_not_empty(
    pdb, write_file: Callable[..., Path]
) -> None:
    for number in (1, 2):
        pdb.residue("ALA", number, atoms=("CA",))
    path = write_file(pdb.text())
    assert len(read_backbones(path, policy=policy(unresolved="drop"))[0]) == 2
    problems = []
    dropping = policy(unresolved="drop")
    found = per_chain(len, [path], chains=None, on_problem=problems.append, policy=dropping)
    assert list(found) == []
    assert "only CA atoms (2 residues)" in str(problems[0])


def prediction(pdb, values=(90, 69.9, 70, 20, 95)) -> str:
    pdb.add("TITLE     ALPHAFOLD MONOMER V2.0 PREDICTION FOR A PROTEIN")
    for number, value in enumerate(values, start=1):
        pdb.residue("ALA", number, b_factor=value)
    return pdb.text()


def test_residues_of_low_plddt_are_masked_or_dropped(pdb, write_file: Callable[..., Path]) -> None:
    path = write_file(prediction(pdb))
    masked = read_backbones(path, policy=policy(min_plddt=70))[0]
    assert masked.resolved.tolist() == [True, False, True, False, True]
    assert masked.b_factors.tolist() == pytest.approx([90, 69.9, 70, 20, 95])
    dropped = read_backbones(path, policy=policy(min_plddt=70, plddt_mode="drop"))[0]
    assert dropped.author_numbers.tolist() == [1, 3, 5]
    assert dropped.resolved.all()
    everything = read_backbones(path, policy=policy(min_plddt=0))[0]
    assert as_tuples([everything]) == as_tuples(read_backbones(path))


def test_a_chain_below_the_cutoff_is_reported_with_the_cutoff(
    pdb, write_file: Callable[..., Path]
) -> None:
    path = write_file(prediction(pdb, values=(10, 20)))
    for mode in ("mask", "drop"):
        cutoff, problems = policy(min_plddt=50, plddt_mode=mode), []
        list(per_chain(len, [path], chains=None, on_problem=problems.append, policy=cutoff))
        assert len(problems) == 1
        assert problems[0].chain_id == "A"
        assert "2 in the chain) has all of N, CA and C, and a pLDDT of at least 50" in str(
            problems[0]
        )


def test_a_cutoff_of_what_is_no_plddt_is_an_error(pdb, write_file: Callable[..., Path]) -> None:
    for number, value in enumerate((90, 40), start=1):
        pdb.residue("ALA", number, b_factor=value)
    path = write_file(pdb.text())
    with pytest.raises(StructureError, match=r"made.pdb: chain A: not marked as a prediction"):
        read_backbones(path, policy=policy(min_plddt=70))
    chain = read_backbones(path, policy=policy(min_plddt=70, b_factors="plddt"))[0]
    assert chain.resolved.tolist() == [True, False]
    assert chain.confidence == "plddt"


@pytest.mark.parametrize("values", [(0.9, 0.4), (50, 120), (-1, 50)])
def test_b_factors_out_of_the_range_of_plddt_are_an_error(
    pdb, write_file: Callable[..., Path], values: tuple[float, ...]
) -> None:
    path = write_file(prediction(pdb, values=values))
    with pytest.raises(StructureError, match="its B-factors go from"):
        read_backbones(path, policy=policy(min_plddt=70))


def test_a_chain_that_is_given_as_such_follows_the_policy(
    pdb, write_file: Callable[..., Path]
) -> None:
    path = write_file(incomplete(pdb))
    chain = read_backbones(path)[0]
    assert finish_chain(chain, policy()) is chain
    dropping = policy(unresolved="drop")
    assert as_tuples([finish_chain(chain, dropping)]) == as_tuples(
        read_backbones(path, policy=dropping)
    )
    got = list(per_chain(len, [chain], chains=None, on_problem=None, policy=dropping))
    assert got == [3]
    for options in (
        {"assembly": "1"},
        {"sequence": "full"},
        {"numbering": "label"},
        {"model": 2},
    ):
        problems = []
        asking = policy(**options)
        assert not list(
            per_chain(len, [chain], chains=None, on_problem=problems.append, policy=asking)
        )
        assert "can only be taken from a structure file" in str(problems[0])
    assert finish_chain(replace(chain, model=2), policy(model=2)).model == 2


def test_what_an_unwanted_chain_lacks_is_no_problem(samples: Path) -> None:
    problems = []
    wanted = policy(chains=["B", "Q"], unresolved="drop")
    found = per_chain(
        lambda chain: chain.chain_id,
        [samples / "2xhe.pdb.gz"],
        chains=None,
        on_problem=problems.append,
        policy=wanted,
    )
    assert list(found) == ["B"]
    assert [problem.chain_id for problem in problems] == ["Q"]
    assert "there is A, B" in str(problems[0])
