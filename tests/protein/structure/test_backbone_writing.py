"""Does a written backbone come back, in this package and in others."""

import dataclasses
import gzip
from pathlib import Path

import numpy as np
import pytest

from provq_protein.errors import StructureError
from provq_protein.structure import Backbone, read_backbones, write_backbone
from provq_protein.structure.writing import write_models


@pytest.fixture(params=["2xhe.pdb.gz", "4zhl.bcif", "1gbt.bcif.gz", "1a8o.cif"])
def chain(request: pytest.FixtureRequest, repo_root: Path) -> Backbone:
    """Return the first chain of a sample: gaps, insertion codes, MSE, an unresolved residue."""
    return read_backbones(repo_root / "data" / "structures" / request.param)[0]


def test_a_written_chain_is_read_back(chain: Backbone, tmp_path: Path) -> None:
    write_backbone(tmp_path / "out.cif", chain)
    (again,) = read_backbones(tmp_path / "out.cif")
    kept = np.flatnonzero(chain.resolved)
    assert np.abs(again.coords - chain.coords[kept]).max() <= 0.0005 + 1e-5
    assert again.resolved.all()
    assert again.residue_ids == tuple(np.array(chain.residue_ids)[kept])
    assert again.residue_names == tuple(np.array(chain.residue_names)[kept])
    assert again.sequence == "".join(np.array(list(chain.sequence))[kept])
    assert np.array_equal(again.label_numbers, chain.label_numbers[kept])
    assert np.allclose(again.b_factors, chain.b_factors[kept], atol=0.005)
    assert (again.chain_id, again.label_chain_id) == (chain.chain_id, chain.label_chain_id)


def test_gemmi_reads_the_same_chain(chain: Backbone, tmp_path: Path) -> None:
    gemmi = pytest.importorskip("gemmi")
    write_backbone(tmp_path / "out.cif", chain)
    structure = gemmi.read_structure(str(tmp_path / "out.cif"))
    (found,) = structure[0]
    kept = np.flatnonzero(chain.resolved)
    assert found.name == chain.chain_id
    assert len(found.get_polymer()) == len(kept)
    assert structure.entities[0].polymer_type == gemmi.PolymerType.PeptideL
    for residue, index in zip(found, kept, strict=True):
        assert str(residue.seqid) == chain.residue_ids[index]
        assert residue.name == chain.residue_names[index]
        assert residue.label_seq == chain.label_numbers[index]
        assert [atom.name for atom in residue] == ["N", "CA", "C"]
        assert [atom.element.name for atom in residue] == ["N", "C", "C"]
        places = [atom.pos.tolist() for atom in residue]
        assert np.allclose(places, chain.coords[index], atol=0.00051)
        assert residue["CA"][0].b_iso == pytest.approx(chain.b_factors[index], abs=0.005)
    full = structure.entities[0].full_sequence
    assert [full[number - 1] for number in chain.label_numbers] == list(chain.residue_names)


def test_biotite_reads_the_same_chain(chain: Backbone, tmp_path: Path) -> None:
    from biotite.structure.io.pdbx import CIFFile, get_structure

    write_backbone(tmp_path / "out.cif", chain)
    atoms = get_structure(CIFFile.read(tmp_path / "out.cif"), model=1, use_author_fields=True)
    kept = np.flatnonzero(chain.resolved)
    assert np.allclose(atoms.coord.reshape(-1, 3, 3), chain.coords[kept], atol=0.00051)
    assert set(atoms.chain_id) == {chain.chain_id}
    assert np.array_equal(atoms.res_id[::3], chain.author_numbers[kept])
    assert atoms.ins_code[::3].tolist() == [chain.insertion_codes[index] for index in kept]


@pytest.mark.parametrize("chain_id", ["NA", "_", "#", "$x", "'", '"', "data_1", "loop_", ";", "é"])
def test_any_chain_id_survives(tmp_path: Path, chain_id: str) -> None:
    gemmi = pytest.importorskip("gemmi")
    backbone = Backbone.from_arrays(np.arange(18.0).reshape(2, 3, 3), chain_id=chain_id)
    write_backbone(tmp_path / "out.cif", backbone)
    assert read_backbones(tmp_path / "out.cif")[0].chain_id == chain_id
    assert gemmi.read_structure(str(tmp_path / "out.cif"))[0][0].name == chain_id


def test_arrays_without_confidence_come_back_without(tmp_path: Path) -> None:
    backbone = Backbone.from_arrays(
        np.arange(27.0).reshape(3, 3, 3), sequence="MXK", author_numbers=[-5, -4, 9]
    )
    write_backbone(tmp_path / "out.cif", backbone)
    (again,) = read_backbones(tmp_path / "out.cif")
    assert np.isnan(again.b_factors).all()
    assert again.residue_ids == ("-5", "-4", "9")
    assert again.sequence == "MXK"


def test_plddt_comes_back_as_plddt(tmp_path: Path) -> None:
    backbone = Backbone.from_arrays(np.arange(9.0).reshape(1, 3, 3), b_factors=[91.5])
    write_backbone(tmp_path / "out.cif", dataclasses.replace(backbone, confidence="plddt"))
    (again,) = read_backbones(tmp_path / "out.cif")
    assert again.confidence == "plddt"
    assert again.b_factors.tolist() == [91.5]


def test_label_numbers_that_run_backwards_are_replaced(tmp_path: Path) -> None:
    backbone = Backbone.from_arrays(np.arange(18.0).reshape(2, 3, 3))
    backwards = dataclasses.replace(backbone, label_numbers=np.array([2, 1], dtype=np.int32))
    write_backbone(tmp_path / "out.cif", backwards)
    (again,) = read_backbones(tmp_path / "out.cif")
    assert again.label_numbers.tolist() == [1, 2]
    assert np.array_equal(again.coords, backbone.coords)


def test_a_gz_name_gives_a_gzip_file(tmp_path: Path) -> None:
    backbone = Backbone.from_arrays(np.arange(18.0).reshape(2, 3, 3))
    write_backbone(tmp_path / "a.cif.gz", backbone)
    write_backbone(tmp_path / "a.cif", backbone)
    packed = (tmp_path / "a.cif.gz").read_bytes()
    assert gzip.decompress(packed) == (tmp_path / "a.cif").read_bytes()


def test_only_the_file_itself_is_left(tmp_path: Path) -> None:
    backbone = Backbone.from_arrays(np.arange(18.0).reshape(2, 3, 3))
    (tmp_path / "a.cif").write_text("old")
    write_backbone(tmp_path / "a.cif", backbone)
    assert [path.name for path in tmp_path.iterdir()] == ["a.cif"]
    assert len(read_backbones(tmp_path / "a.cif")[0]) == 2


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.cif").write_text("old")

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    backbone = Backbone.from_arrays(np.arange(18.0).reshape(2, 3, 3))
    with pytest.raises(StructureError, match="No space left on device"):
        write_backbone(tmp_path / "a.cif", backbone)
    assert [path.name for path in tmp_path.iterdir()] == ["a.cif"]
    assert (tmp_path / "a.cif").read_text() == "old"


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    backbone = Backbone.from_arrays(np.arange(18.0).reshape(2, 3, 3))
    with pytest.raises(StructureError, match="cannot be written"):
        write_backbone(tmp_path / "absent" / "a.cif", backbone)
    nowhere = Backbone.from_arrays(np.full((2, 3, 3), np.nan), chain_id="Q")
    with pytest.raises(StructureError, match="chain Q: no residue is resolved"):
        write_backbone(tmp_path / "a.cif", nowhere)
    assert list(tmp_path.iterdir()) == []


def test_models_of_one_chain_share_a_file(chain: Backbone, tmp_path: Path) -> None:
    moved = dataclasses.replace(chain, coords=chain.coords + np.float32(7))
    write_models(tmp_path / "out.cif", [chain, moved])
    (first,), (second,) = (read_backbones(tmp_path / "out.cif", model=one) for one in (1, 2))
    assert first.residue_ids == second.residue_ids
    assert np.abs(second.coords - first.coords - 7).max() < 2e-3
    gemmi = pytest.importorskip("gemmi")
    structure = gemmi.read_structure(str(tmp_path / "out.cif"))
    assert len(structure) == 2
    serials = [atom.serial for model in structure for residue in model[0] for atom in residue]
    assert serials == list(range(1, 6 * int(chain.resolved.sum()) + 1))


def test_models_of_other_residues_or_none_are_refused(chain: Backbone, tmp_path: Path) -> None:
    other = dataclasses.replace(chain, author_numbers=chain.author_numbers + np.int32(1))
    renamed = dataclasses.replace(chain, chain_id="Z")
    for model in (other, renamed):
        with pytest.raises(StructureError, match="model 2 has other residues"):
            write_models(tmp_path / "out.cif", [chain, model])
    with pytest.raises(StructureError, match="no model to write"):
        write_models(tmp_path / "out.cif", [])
    assert list(tmp_path.iterdir()) == []
