"""Which small valid files does the fuzzer begin with?"""

import gzip
import io
from functools import cache
from pathlib import Path

import numpy as np

from provq_protein.structure.mmcif_atoms import SITE_COLUMNS, SMALL_CATEGORIES
from provq_protein.tokens.sequence import TokenSequence

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "structures"
_ATOMS = 30
_HEADERS = (b"HEADER", b"TITLE ", b"SEQRES", b"MODRES", b"EXPDTA")


def _sample(name: str) -> bytes:
    content = (SAMPLES / name).read_bytes()
    return gzip.decompress(content) if name.endswith(".gz") else content


@cache
def pdb_seeds() -> tuple[bytes, ...]:
    """Return the first residues of the sample PDB files, with headers and ends."""
    samples = [_few_records(_sample(name)) for name in ("1a8o.pdb", "1lcd.pdb.gz")]
    return (*samples, _ODD_PDB)


def _few_records(content: bytes) -> bytes:
    lines = content.splitlines()
    headers = [line for line in lines if line[:6] in _HEADERS][:6]
    atoms = [line for line in lines if line[:6] == b"ATOM  "][:_ATOMS]
    others = [line for line in lines if line[:6] == b"HETATM"][-4:]
    return b"\n".join(
        [*headers, b"MODEL        1", *atoms, b"TER", *others, b"ENDMDL", b"END", b""]
    )


_ODD_PDB = b"""\
ATOM      1  N  ASER A  -1A     11.104   6.134  -6.504  0.60  9.99           N
ATOM      2  CA ASER A  -1A     11.639   6.071  -5.147  0.60  9.99           C
ATOM      3  C  ASER A  -1A     13.139   6.071  -5.147  0.60  9.99           C
ATOM      4  N  BSER A  -1A     11.204   6.234  -6.604  0.40  9.99           N
ATOM      5  CA BSER A  -1A     11.739   6.171  -5.247  0.40  9.99           C
ATOM      6  C  BSER A  -1A     13.239   6.171  -5.247  0.40  9.99           C
HETATM    7  N   MSE A   0      13.800   7.000  -5.100  1.00  9.99           N
HETATM    8  CA  MSE A   0      15.200   7.000  -5.000  1.00  9.99           C
HETATM    9  C   MSE A   0      16.200   7.000  -5.000  1.00  9.99           C
TER
ATOM     10  CA  GLY A   5      18.200   7.000  -5.000  1.00  9.99           C
HETATM   11 CA    CA A 101      25.200   7.000  -5.000  1.00  9.99          CA
END
"""


@cache
def cif_seeds() -> tuple[bytes, ...]:
    """Return the first atoms of the sample mmCIF files, in the categories that are read."""
    from biotite.structure.io.pdbx import CIFBlock, CIFCategory, CIFFile

    seeds = []
    for name in ("1a8o.cif", "3jqh.cif"):
        block = CIFFile.read(io.StringIO(_sample(name).decode())).block
        columns = _columns_kept(block)
        file = CIFFile({"X": CIFBlock({key: CIFCategory(value) for key, value in columns.items()})})
        seeds.append(file.serialize().encode())
    return tuple(seeds)


@cache
def bcif_seeds() -> tuple[bytes, ...]:
    """Return the first atoms of a sample BinaryCIF file, plain and with dense encodings."""
    from biotite.structure.io.pdbx import (
        BinaryCIFBlock,
        BinaryCIFCategory,
        BinaryCIFFile,
        compress,
    )

    seeds = []
    for name in ("4zhl.bcif", "1gbt.bcif.gz"):
        block = BinaryCIFFile.read(io.BytesIO(_sample(name))).block
        columns = _columns_kept(block)
        file = BinaryCIFFile(
            {"X": BinaryCIFBlock({key: BinaryCIFCategory(value) for key, value in columns.items()})}
        )
        for version in (file, compress(file)):
            written = io.BytesIO()
            version.write(written)
            seeds.append(written.getvalue())
    return tuple(seeds)


def _columns_kept(block) -> dict[str, dict[str, list[str]]]:
    site = block["atom_site"]
    rows = np.arange(site.row_count)
    hetero = np.flatnonzero(site["group_PDB"].as_array() == "HETATM")
    rows = np.unique(np.concatenate([rows[:_ATOMS], hetero[:3], hetero[-2:]]))
    kept = {
        "atom_site": {name: site[name].as_array()[rows] for name in SITE_COLUMNS if name in site}
    }
    for category, names in SMALL_CATEGORIES.items():
        if category in block:
            held = block[category]
            kept[category] = {name: held[name].as_array() for name in names if name in held}
    return kept


@cache
def token_seed() -> tuple[TokenSequence, ...]:
    """Return two short chains with everything that a token file can hold."""
    first = TokenSequence(
        ids=[3, -1, 0, 7],
        resolved=[True, False, True, True],
        sequence="GXAM",
        residue_names=("GLY", "UNK", "ALA", "MSE"),
        author_numbers=[-1, 5, 5, 6],
        insertion_codes=("", "", "A", ""),
        label_numbers=[1, 2, 3, 4],
        chain_id="A",
        label_chain_id="B",
        source="in/1abc.cif",
        model=1,
        fingerprint="c0ffee",
        codebook_size=8,
        mean_plddt=87.5,
    )
    second = TokenSequence(
        ids=[1],
        resolved=[True],
        sequence="K",
        residue_names=("LYS",),
        author_numbers=[1],
        insertion_codes=("",),
        label_numbers=[1],
        chain_id="NA",
        label_chain_id="NA",
        source="set.tar!x/é.pdb",
        model=2,
        fingerprint="c0ffee",
        codebook_size=8,
    )
    return first, second
