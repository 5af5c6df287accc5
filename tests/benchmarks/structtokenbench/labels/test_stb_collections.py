"""Are the files of TAPE and the proteins of ProteinShake read as they are written?"""

import json

import numpy as np
import pytest

from structtokenbench.errors import SourceError
from structtokenbench.sources import proteinshake, tape

SCOP = """# dir.cla.scop.txt
d1dlwa_\t1dlw\tA:\ta.1.1.1\t14982\tcl=46456,cf=46457,sf=46458,fa=46459
d1s69a_\t1s69\tA:-2-1,A:4-9\ta.1.1.1\t98582\tcl=46456,cf=46457,sf=46458,fa=46459
d2abc.1\t2abc\tA:,B:\ta.1.1.1\t98582\tcl=46456,cf=46457,sf=46458,fa=46459
"""


def test_tape(tmp_path, chains_of, chain_of):
    (tmp_path / "scop.txt").write_text(SCOP)

    def write(split, *entries):
        records = [{"id": sid, "fold_label": fold, "primary": "ACD"} for sid, fold in entries]
        (tmp_path / f"remote_homology_{split}.json").write_text(json.dumps(records))

    write("train", *[("d1dlwa_", 17)] * 50, *[("d1dlwa_", 30)] * 49, *[("d1dlwa_", 40)] * 60)
    write("test_family_holdout", ("d1s69a_", 40), ("d2abc.1", 40), ("dx", 17), ("d1s69a_", 30))
    numbers = [-2, 0, 1, 2, 4, 10]
    chains = chains_of({("1dlw", "A"): chain_of(), ("1s69", "A"): chain_of("ACDEFG", numbers)})
    data = tape.load_task(tmp_path, tmp_path / "scop.txt", chains)
    assert [one.labels[0] for one in data.splits["train"]] == [0] * 50 + [1] * 60
    (domain,) = data.splits["test_family_holdout"]
    assert (domain.id, domain.chain, domain.labels.tolist()) == ("d1s69a_", "1s69_A", [1])
    assert domain.residues.tolist() == [True, True, True, False, True, False]
    assert [one.reason for one in data.coverage["test_family_holdout"].problems] == [
        "SCOP describes it as 'A:,B:', which is not part of one chain",
        "SCOP has no domain of this name",
    ]
    write("valid", ("d1dlwa_", "17"))
    with pytest.raises(SourceError, match="expected a list of objects with id and fold_label"):
        tape.load_task(tmp_path, tmp_path / "scop.txt", chains)
    with pytest.raises(SourceError, match="no file remote_homology_<split>"):
        tape.load_task(tmp_path / "absent", tmp_path / "scop.txt", chains)


def test_proteinshake(chains_of, chain_of):
    def protein(name, sequence, sites, chains="A"):
        letters = [chains[at % len(chains)] for at in range(len(sequence))]
        residue = {"chain_id": letters, "binding_site": sites}
        return {"protein": {"ID": name, "sequence": sequence}, "residue": residue}

    proteins = [
        protein("3fcq", "ACD", [0, 1, 1]),
        protein("6gfs", "ACD", [0, 1, 1], "AB"),
        protein("6s56", "ACD", [0, 1]),
        {"protein": {}},
        protein("1c84", "ACD", [0, 1, 1]),
    ]
    chains = chains_of({(name, "A"): chain_of("ACD") for name in ("3fcq", "6s56", "1c84")})
    data = proteinshake.load_task(proteins, chains, splits={"3fcq": "test", "6s56": "val"})
    np.testing.assert_array_equal(data.splits["test"][0].labels, [0, 1, 1])
    assert [one.reason for one in data.coverage["train"].problems] == [
        "6gfs has 2 chains, expected one",
        "no protein of the ligand interface data: KeyError('ID')",
        "1c84 is in no split",
    ]
    assert "2 labels for a sequence of 3" in data.coverage["validation"].problems[0].reason
    everything = proteinshake.load_task(proteins, chains)
    assert [item.id for item in everything.splits["all"]] == ["3fcq_A", "1c84_A"]
