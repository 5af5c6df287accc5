"""Does `encode --complex` put the chains of each input together, and refuse what it cannot do?"""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from provq_protein.structure.backbone import Backbone
from provq_protein.structure.writing import write_backbone
from provq_protein.tokenizer import StructureTokenizer
from provq_protein.tokens.formats import load_tokens


@pytest.fixture
def two_chains(sample_structures) -> Path:
    return next(path for path in sample_structures if path.name.startswith("2xhe"))


def lines_of(answer) -> list[dict]:
    return [json.loads(line) for line in answer.out.splitlines()]


def test_rows_are_those_of_the_python_interface_and_say_so(run, two_chains, tmp_path) -> None:
    out = tmp_path / "tokens.npz"
    answer = run("encode", "--complex", two_chains, "-o", out)
    assert (answer.code, answer.out) == (0, "")
    assert answer.err == f"2 chains of 1 file encoded to {out}\n"
    (group,) = StructureTokenizer.from_pretrained().encode_complex([two_chains])
    for found, expected in zip(load_tokens(out), group, strict=True):
        assert found.context == "complex"
        np.testing.assert_array_equal(found.ids, expected.ids)
    info = run("info", out, "--json")
    assert json.loads(info.out)["format_version"] == 2
    assert json.loads(info.out)["contexts"] == ["complex"]


def test_without_the_option_rows_are_of_single_chains(run, two_chains) -> None:
    plain = lines_of(run("encode", two_chains))
    together = lines_of(run("encode", "--complex", two_chains))
    assert [line.get("context") for line in plain + together] == [None] * 2 + ["complex"] * 2
    assert plain[0]["ids"] != together[0]["ids"]


def test_chains_that_are_not_asked_for_are_seen(run, two_chains) -> None:
    every = lines_of(run("encode", "--complex", two_chains))
    (only,) = lines_of(run("encode", "--complex", "--chains", "A", two_chains))
    assert only["ids"] == every[0]["ids"]


def test_copies_of_an_assembly_are_a_complex(run, sample_structures) -> None:
    path = next(path for path in sample_structures if path.name == "1a8o.cif")
    found = lines_of(run("encode", "--complex", "--assembly", "1", path))
    assert [line["chain_id"] for line in found] == ["A", "A-2"]


def test_members_of_archives_are_complexes_of_their_own(
    run, two_chains, sample_structures, tmp_path
) -> None:
    # Under one name, as archives may have them: these are two files, not one.
    other = next(path for path in sample_structures if path.name == "4zhl.bcif")
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in (two_chains, other, tmp_path / "bad.pdb"):
            content = path.read_bytes() if path.exists() else b"nothing"
            file.writestr(path.name, content)
    answer = run("encode", "--complex", archive)
    assert answer.code == 1
    assert "bad.pdb" in answer.err
    expected = lines_of(run("encode", "--complex", two_chains, other))
    found = lines_of(answer)
    assert [line["ids"] for line in found] == [line["ids"] for line in expected]
    assert [line["file"] for line in found] == [
        f"{archive}!{path.name}" for path in (two_chains, two_chains, other, other)
    ]


def test_bad_inputs_are_reported_and_the_others_encoded(
    run, two_chains, make_coords, tmp_path
) -> None:
    coords = make_coords(20, 1)
    coords[:, [0, 2]] = np.nan
    bare = tmp_path / "bare.cif"
    write_backbone(bare, Backbone.from_arrays(make_coords(20, 1), chain_id="A"))
    text = bare.read_text()
    bare.write_text("\n".join(line for line in text.splitlines() if " CA " in line or not
                              line.startswith(("ATOM", "HETATM"))))  # fmt: skip
    answer = run("encode", "--complex", bare, tmp_path / "absent.cif", two_chains)
    assert answer.code == 1
    assert len(lines_of(answer)) == 2
    assert "bare.cif: chain A: only CA atoms" in answer.err
    assert "absent.cif: no such file" in answer.err


def test_a_trajectory_frame_is_a_complex(run, two_chains, tmp_path) -> None:
    md = pytest.importorskip("mdtraj", reason="needs the extra 'trajectory'")
    from provq_protein.structure.reading import read_backbones

    pdb = tmp_path / "two.pdb"
    lines, atoms = [], ("N", "CA", "C")
    for chain in read_backbones(two_chains):
        for residue in np.flatnonzero(chain.resolved):
            for name, place in zip(atoms, chain.coords[residue], strict=True):
                x, y, z = place
                lines.append(
                    f"ATOM  {len(lines) % 99999 + 1:>5}  {name:<3} ALA {chain.chain_id}"
                    f"{residue + 1:>4}    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           {name[0]}"
                )
    pdb.write_text("\n".join([*lines, "END", ""]))
    frames = md.load(str(pdb))
    md.join([frames, frames]).save_xtc(str(tmp_path / "run.xtc"))
    answer = run("encode", "--complex", tmp_path / "run.xtc", "--topology", pdb)
    found = lines_of(answer)
    assert [line["chain_id"] for line in found] == ["A", "B"] * 2
    alone = lines_of(run("encode", tmp_path / "run.xtc", "--topology", pdb))
    assert found[0]["ids"] == found[2]["ids"]
    assert [line["ids"] for line in found] != [line["ids"] for line in alone]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "out/"], "folders of shards are written chain by chain"),
        (["-o", "out", "-j", "2"], "folders of shards are written chain by chain"),
        (["--runtime", "onnx"], "is not for --runtime onnx"),
        (["--precision", "fast"], "leave --precision fast out"),
    ],
)
def test_what_cannot_encode_complexes_refuses_them(
    run, options, message, two_chains, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = run("encode", "--complex", two_chains, *options)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert len(answer.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
