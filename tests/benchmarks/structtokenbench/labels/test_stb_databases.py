"""Are the files of ATLAS, BioLiP, InterPro with SIFTS, and ProteinGLUE read as they are written?"""

import gzip

import numpy as np
import pytest

from provq_protein.errors import ConfigError
from provq_protein.structure.writing import write_backbone
from structtokenbench.errors import JoinError, SourceError
from structtokenbench.joining import Site
from structtokenbench.sources import atlas, biolip, interpro, proteinglue, sifts, trajectory

# The example entry of BioLiP's documentation.
BIOLIP_SEQUENCE = (
    "RWEQTHLTYRIENYTPDLPRADVDHAIEKAFQLWSNVTPLTFTKVSEGQADIMISFVRGDHRDNSPFDGPGGNLAHAFQPGPGIGGDAHFDEDERW"
    "TNNFREYNLHRVAAHELGHSLGLSHSTDIGALMYPSYTFSGDVQLAQDDIDGIQAIYGRSQ"
)
BIOLIP = [
    "966c", "A", "1.90", "BS06", "RS2", "A", "1",
    "N180 L181 A182 V215 H218 E219 H222 H228 L235 Y237 P238 S239 Y240 T241",
    "N73 L74 A75 V108 H111 E112 H115 H121 L128 Y130 P131 S132 Y133 T134",
    "M236 E219;E219", "M129 E112;E112", "3.4.24.-", "0004222", "", "ki=23nM (RS2)",
    "Ki=23nM (RS2)", "", "P03956", "10074939", "1", BIOLIP_SEQUENCE,
]  # fmt: skip
# Leghemoglobin: the authors leave out the first methionine when they count, UniProt does not.
SIFTS = """# 2024/05/29 - 12:00 | PDB: 22.24 | UniProt: 2024.03
PDB\tCHAIN\tSP_PRIMARY\tRES_BEG\tRES_END\tPDB_BEG\tPDB_END\tSP_BEG\tSP_END
1gdj\tA\tP02240\t1\t153\t1\t153\t2\t154
"""
INTERPRO = """uniprot_id\tipr_id\tipr_type\tresidue_fragments
P02240\tIPR019824\tBinding_site\t58-69-S
P02240\tIPR000971\tDomain\t5-151-S
P99999\tIPR000001\tBinding_site\t1-4-S
P02240\tIPR000002\tBinding_site\tten-20-S
P02240\tIPR000003\tBinding_site\t10-12-C,20-21-N
P02240\tIPR000004\tBinding_site\t500-510-S
"""


def reasons(data):
    return [one.reason for one in data.coverage["all"].problems]


def write_atlas(folder, name, chain, sequence, columns, suffix="_per_residue_labels.csv"):
    (folder / name).mkdir(parents=True, exist_ok=True)
    write_backbone(folder / name / f"{name}.pdb", chain)
    mark = "," if suffix.endswith("csv") else "\t"
    rows = [mark.join(["seq", *columns])]
    rows += [
        mark.join([letter, *(str(values[at]) for values in columns.values())])
        for at, letter in enumerate(sequence)
    ]
    (folder / name / f"{name}{suffix}").write_text("\n".join(rows) + "\n")


def test_atlas_folders(tmp_path, chain_of):
    folder = tmp_path / "atlas" / "analysis"
    values = {"RMSF": [0.5, 0.25, 1], "Bfactor": ["", 20.06, 16.04], "Neq": [1, 1, 5.25]}
    write_atlas(folder, "2i5v_O", chain_of("ACD", chain_id="O", numbers=[1, 2, 3]), "ACD", values)
    write_atlas(folder, "2z6r_A", chain_of("ACD"), "ACDWWW", {"Neq": [1] * 6})
    write_atlas(folder, "3abc_A", chain_of("ACD"), "ACD", {"Neq": [1, "x", 1]})
    write_atlas(folder, "4abc_A", chain_of("ACD"), "ACD", {"Other": [1, 2, 1]})
    data = atlas.load_task(tmp_path / "atlas", "FlexNEQ")
    assert data.splits["all"][0].labels.tolist() == pytest.approx([0.1, 0.1, 0.525])
    assert data.splits["all"][0].id == "2i5v_O"
    found = reasons(data)
    assert "2z6r_A" in found[0]
    assert "Neq of residue 2 is no number: x" in found[1]
    assert "needs columns seq and Neq, has seq, Other" in found[2]
    b_factors = atlas.load_task(tmp_path / "atlas", "FlexBFactor", ids=["2i5v_O", "9abc_A"])
    np.testing.assert_allclose(b_factors.splits["all"][0].labels, [np.nan, 0.2006, 0.1604], 1e-6)
    assert reasons(b_factors) == ["no folder 9abc_A in atlas"]
    with pytest.raises(ConfigError, match="task Con is not one of ATLAS"):
        atlas.load_task(tmp_path, "Con")
    with pytest.raises(SourceError, match="no folder named like a chain"):
        atlas.load_task(tmp_path / "atlas" / "analysis" / "2i5v_O", "FlexNEQ")


def test_replicates_of_atlas_are_averaged(tmp_path, chain_of):
    columns = {"RMSF_R1": [1, 2, 3], "RMSF_R2": [2, 2, 3], "RMSF_R3": [3, 2, 3]}
    write_atlas(tmp_path, "2i5v_O", chain_of("ACD"), "ACD", columns, "_RMSF.tsv")
    data = atlas.load_task(tmp_path, "FlexRMSF")
    assert data.splits["all"][0].labels.tolist() == [2, 2, 3]


def helix(length):
    """Give N, CA and C of an ideal helix, shape (residue, 3, 3), in Angstrom."""
    angle = np.deg2rad(100) * np.arange(length)[:, None] + np.deg2rad([-26.5, 0, 28.3])
    radius, rise = np.array([1.55, 2.28, 1.70]), np.array([-0.9, 0.0, 1.1])
    height = 1.5 * np.arange(length)[:, None] + rise
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=-1)


def pdb_lines(coords, sequence):
    """Give a PDB file of N, CA and C."""
    names = {"G": "GLY", "S": "SER", "T": "THR", "V": "VAL"}
    lines = []
    for residue, letter in enumerate(sequence):
        for atom, (x, y, z) in zip(("N", "CA", "C"), coords[residue], strict=True):
            lines.append(
                f"ATOM  {len(lines) + 1:5d}  {atom:<3} {names[letter]} O{residue + 1:4d}    "
                f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00           {atom[0]}"
            )
    return "\n".join([*lines, "TER", "END", ""])


def test_rmsf_and_blocks_of_frames():
    frames = np.repeat(helix(12)[None], 4, axis=0)
    frequencies = trajectory.block_frequencies(frames)
    assert (frequencies[2:-2].max(axis=1) == 1).all()
    # Block m, the twelfth, is the helix.
    assert (frequencies[2:-2].argmax(axis=1) == 12).all()
    assert not frequencies[[0, 1, -2, -1]].any()
    assert trajectory.equivalent_blocks(frequencies).tolist() == [1] * 12
    spread = np.full((1, 16), 1 / 16)
    assert trajectory.equivalent_blocks(spread) == pytest.approx(16)
    rng = np.random.default_rng(0)
    positions = np.repeat(rng.normal(scale=8, size=(1, 30, 3)), 400, axis=0)
    positions[:, 7] += rng.normal(scale=0.5, size=(400, 3))
    turns = np.linalg.qr(rng.normal(size=(400, 3, 3)))[0]
    turns *= np.linalg.det(turns)[:, None, None]
    moved = positions @ turns + rng.normal(scale=50, size=(400, 1, 3))
    found = trajectory.fluctuation(moved)
    assert found[7] == pytest.approx(0.5 * np.sqrt(3), rel=0.1)
    assert np.delete(found, 7).max() < 0.1


def test_a_trajectory_gives_what_its_frames_give(tmp_path, chain_of):
    mdtraj = pytest.importorskip("mdtraj")
    topology = tmp_path / "2i5v_O.pdb"
    topology.write_text(pdb_lines(helix(12), "GSTVGSTVGSTV"))
    frames = mdtraj.load(str(topology))
    rng = np.random.default_rng(0)
    paths = []
    for scale in (0.0, 0.02):
        noise = rng.normal(scale=scale, size=(30, 36, 3))
        path = tmp_path / f"{scale}.xtc"
        mdtraj.Trajectory(frames.xyz + noise, frames.topology).save(str(path))
        paths.append(path)
    found = trajectory.flexibility(topology, paths)
    assert found.sequence == "GSTVGSTVGSTV"
    assert found.neq[:2].tolist() == [1, 1]
    # Twice nothing and 0.2 Angstrom in each direction, less what the fit takes away.
    assert found.rmsf.mean() == pytest.approx(0.5 * 0.2 * np.sqrt(3), rel=0.25)
    with pytest.raises(SourceError, match="cannot be read with topology"):
        trajectory.flexibility(topology, [tmp_path / "absent.xtc"])
    with pytest.raises(SourceError, match="no trajectory given"):
        trajectory.flexibility(topology, [])


def test_biolip(tmp_path, chains_of, chain_of):
    other_ligand = [*BIOLIP[:7], "H218 E219", *BIOLIP[8:]]
    insertion = ["1abc", "H", *BIOLIP[2:7], "D52A N-3", "", "", "", *BIOLIP[11:]]
    wrong = [*BIOLIP[:7], "W180 W181", *BIOLIP[8:]]
    rows = [
        BIOLIP,
        other_ligand,
        BIOLIP,
        insertion,
        wrong,
        BIOLIP[:9],
        [*BIOLIP[:7], "H-", *BIOLIP[8:]],
    ]
    path = tmp_path / "BioLiP_nr.txt"
    path.write_text("\n".join("\t".join(row) for row in rows) + "\n")
    chain = chain_of(BIOLIP_SEQUENCE, numbers=range(108, 108 + len(BIOLIP_SEQUENCE)))
    antibody = chain_of("NDE", numbers=[-3, 52, 52], codes=["", "A", ""])
    chains = chains_of({("966c", "A"): chain, ("1abc", "H"): antibody})

    binding = biolip.load_task(path, chains, "BindBio")
    first, second, third = binding.splits["all"]
    assert chain.author_numbers[first.labels == 1].tolist() == [
        180, 181, 182, 215, 218, 219, 222, 228, 235, 237, 238, 239, 240, 241,
    ]  # fmt: skip
    assert chain.author_numbers[second.labels == 1].tolist() == [218, 219]
    assert third.labels.tolist() == [1, 1, 0]
    assert reasons(binding)[0].startswith("966c_A: 0 of 2 labelled residues (0.0 %)")
    assert reasons(binding)[1:] == [
        "9 columns, expected 21",
        "'H-' is no residue such as E439 or D52A",
    ]
    catalytic = biolip.load_task(path, chains, "CatBio")
    assert [item.id for item in catalytic.splits["all"]] == ["966c_A"]
    assert chain.author_numbers[catalytic.splits["all"][0].labels == 1].tolist() == [219, 236]
    rows = list(biolip.read_rows(path))
    assert rows[3].binding == (Site("D", 52, "A"), Site("N", -3, ""))


def test_interpro_ranges_are_moved_to_the_numbers_of_the_chain(tmp_path, chains_of, chain_of):
    """The benchmark's own file has 58 to 69 of 1gdj positive, which UniProt calls 59 to 70."""
    (tmp_path / "matches.tsv").write_text(INTERPRO)
    (tmp_path / "sifts.tsv.gz").write_bytes(gzip.compress(SIFTS.encode()))
    chain = chain_of("A" * 153)
    data = interpro.load_task(
        tmp_path / "matches.tsv",
        tmp_path / "sifts.tsv.gz",
        chains_of({("1gdj", "A"): chain}),
        "BindInt",
    )
    site, fragments = data.splits["all"]
    assert (site.id, site.chain) == ("1gdj_A/IPR019824", "1gdj_A")
    assert chain.author_numbers[site.labels == 1].tolist() == list(range(57, 69))
    assert chain.author_numbers[fragments.labels == 1].tolist() == [9, 10, 11, 19, 20]
    assert [one.id for one in data.coverage["all"].problems] == [
        "matches.tsv:5",
        "1gdj_A/IPR000004",
    ]
    none = interpro.load_task(
        tmp_path / "matches.tsv", tmp_path / "sifts.tsv.gz", chains_of({}), "BindInt", chains=[]
    )
    assert none.coverage["all"].listed == 1


def test_positions_of_residues_in_uniprot(tmp_path, chain_of):
    path = tmp_path / "pdb_chain_uniprot.csv"
    path.write_text(
        "PDB,CHAIN,SP_PRIMARY,RES_BEG,RES_END,PDB_BEG,PDB_END,SP_BEG,SP_END\n"
        "1abc,A,P1,3,6,10,13,101,104\n1abc,B,P1,3,6,None,12A,101,104\n"
    )
    linear, unknown = sifts.read_segments(path)
    chain = chain_of("ACDEF", numbers=[9, 10, 11, 13, 14])
    assert sifts.uniprot_positions(chain, [linear]).tolist() == [0, 101, 102, 104, 0]
    with pytest.raises(JoinError, match="an mmCIF file of the entry would do"):
        sifts.uniprot_positions(chain, [unknown])
    from dataclasses import replace

    mmcif = replace(chain, label_numbers=np.array([2, 3, 4, 6, 7], dtype=np.int32))
    assert sifts.uniprot_positions(mmcif, [unknown]).tolist() == [0, 101, 102, 104, 0]
    elsewhere = chain_of("ACDEF", numbers=[51, 52, 53, 54, 56])
    with pytest.raises(JoinError, match="no residue lies in the 1 segments"):
        sifts.uniprot_positions(elsewhere, [linear])
    path.write_text("PDB,CHAIN\n1abc,A\n")
    with pytest.raises(SourceError, match="no column PDB_BEG"):
        sifts.read_segments(path)


def test_proteinglue(tmp_path, chains_of, chain_of):
    def rows(name, sequence, labels):
        return [
            f"{at},{name},{label},{'I' if label == '1' else 'NI'},{len(sequence)},{at},{letter}"
            for at, (letter, label) in enumerate(zip(sequence, labels, strict=True), 1)
        ]

    lines = ["Pos,name,Interface,Interface1,length,AliPos,AliSeq"]
    lines += rows("1QA9_B", "MKTAYI", "000110") + rows("H_1lbq", "ACD", "100")
    lines += rows("2mta_AB", "ACD", "100") + rows("3mz1_B", "ACD", "1x0")
    path = tmp_path / "HM_479_testing.csv"
    path.write_text("\n".join(lines) + "\n")
    chains = chains_of(
        {("1qa9", "B"): chain_of("GMKTAYI"), ("1lbq", "C"): chain_of("ACD"),
         ("3mz1", "B"): chain_of("ACD")}
    )  # fmt: skip
    pytest.importorskip("Bio")
    data = proteinglue.load_task(path, chains)
    np.testing.assert_array_equal(
        data.splits["all"][0].labels, np.float32([np.nan, 0, 0, 0, 1, 1, 0])
    )
    assert reasons(data) == [
        "H_1lbq names no chain; say which with `chains`",
        "2mta_AB names 2 chains, expected one",
        "3mz1_B: Interface must be 0 or 1, got 'x'",
    ]
    published = proteinglue.load_task(path, chains, chains={"H_1lbq": "C"}, unaligned_negative=True)
    assert published.splits["all"][0].labels[0] == 0
    assert published.splits["all"][1].id == "1lbq_C"
