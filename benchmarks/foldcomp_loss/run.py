"""Measure how many tokens change when a structure has gone through FoldComp.

    python benchmarks/foldcomp_loss/run.py                             # data/structures/*.pdb*
    python benchmarks/foldcomp_loss/run.py --name casp14 targets/*.pdb

FoldComp holds one chain without gaps, so each file (PDB format, plain or gzipped) is cut where
residues are absent, modified or not bonded; pieces of less than 20 residues are left out. A piece
is encoded as it is, after the round trip, and with Gaussian noise of the same root mean square, to
tell FoldComp from any loss of its size. What the tokens before and after decode to is compared with
the piece as it is. Numbers go to results/NAME.json; no times, no folders.
"""

import argparse
import gzip
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from reporting.files import save_results  # noqa: E402

from provq_protein.evaluation.chain_scores import score_chain  # noqa: E402
from provq_protein.sources.foldcomp_codec import FoldcompDecoder, compress  # noqa: E402
from provq_protein.structure.backbone import Backbone  # noqa: E402
from provq_protein.structure.reading import read_backbones  # noqa: E402
from provq_protein.tokenizer import StructureTokenizer  # noqa: E402

SHORTEST = 20
_LONGEST_BOND = 2.0
_STANDARD = frozenset(
    (
        "ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE", "LEU", "LYS", "MET",
        "PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL",
    )
)  # fmt: skip
_LIMIT = 1 << 28


def pieces(chain: Backbone) -> Iterator[range]:
    """
    Yield the stretches of a chain that FoldComp can hold.

    Parameters
    ----------
    chain : Backbone
        The chain.

    Yields
    ------
    range
        Positions of bonded, resolved, standard residues with numbers one apart.
    """
    usable = chain.resolved & np.array([name in _STANDARD for name in chain.residue_names])
    usable &= np.array([code == "" for code in chain.insertion_codes])
    bond = np.linalg.norm(chain.coords[1:, 0] - chain.coords[:-1, 2], axis=1)
    joined = (np.diff(chain.author_numbers) == 1) & (bond < _LONGEST_BOND)
    start = 0
    for position in range(1, len(chain) + 1):
        whole = position < len(chain) and bool(joined[position - 1] and usable[position])
        if whole and usable[start]:
            continue
        if usable[start] and position - start >= SHORTEST:
            yield range(start, position)
        start = position


def pdb_text(content: str, chain: Backbone, span: range) -> str:
    """
    Return the atom records of a stretch of a chain, one conformer of each residue.

    Parameters
    ----------
    content : str
        The PDB file.
    chain : Backbone
        The chain.
    span : range
        Its positions.

    Returns
    -------
    str
        A PDB file.
    """
    numbers = set(chain.author_numbers[span.start : span.stop].tolist())
    lines = []
    for line in content.split("ENDMDL")[0].splitlines():
        if line[:6] != "ATOM  " or (line[21].strip() or "_") != chain.chain_id:
            continue
        hydrogen = line[12:16].strip().lstrip("0123456789").startswith("H")
        if line[16] in " A" and not hydrogen and int(line[22:26]) in numbers:
            lines.append(f"{line[:16]} {line[17:]}\n")
    return "".join(lines)


def measure(tokenizer: StructureTokenizer, path: Path, decoder: FoldcompDecoder) -> list[Any]:
    """
    Return what the round trip does to each piece of a file.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        The tokenizer.
    path : Path
        A PDB file.
    decoder : FoldcompDecoder
        Decodes.

    Returns
    -------
    list of dict
        One per piece: residues, changed ids, deviation of N, CA and C in Angstrom.
    """
    raw = path.read_bytes()
    content = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("latin-1")
    rows = []
    for chain in read_backbones(path):
        for span in pieces(chain):
            text = pdb_text(content, chain, span)
            packed = compress(path.name, text)
            before = _read(text.encode())
            after = _read(decoder.decode(packed, limit=_LIMIT))
            if before.residue_ids != after.residue_ids or len(before) != len(span):
                print(f"{path.name}: chain {chain.chain_id}: not the same residues, left out")
                continue
            deviation = np.linalg.norm(before.coords - after.coords, axis=-1)
            rmsd = float(np.sqrt((deviation**2).mean()))
            noise = np.random.default_rng(len(rows)).normal(0, rmsd / 3**0.5, before.coords.shape)
            noisy = replace(before, coords=(before.coords + noise).astype(np.float32))
            tokens = tokenizer.encode([before, after, noisy])
            ids = [one.ids for one in tokens]
            decoded = tokenizer.decode(tokens[:2])
            rows.append(
                {
                    "file": path.name,
                    "chain": chain.chain_id,
                    "residues": len(span),
                    "changed": int((ids[0] != ids[1]).sum()),
                    "changed_by_noise": int((ids[0] != ids[2]).sum()),
                    "decoded_rmsd_before": round(score_chain(before, decoded[0]).rmsd, 3),
                    "decoded_rmsd_after": round(score_chain(before, decoded[1]).rmsd, 3),
                    "rmsd": round(rmsd, 4),
                    "largest": round(float(deviation.max()), 3),
                    "bytes": len(packed),
                }
            )
    return rows


def _read(content: bytes) -> Backbone:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "piece.pdb"
        path.write_bytes(content)
        return read_backbones(path)[0]


def summarize(rows: list[Any]) -> dict[str, float]:
    """
    Return the totals over all pieces.

    Parameters
    ----------
    rows : list of dict
        As `measure` returns them.

    Returns
    -------
    dict
        Residues, changed ids and their share, deviation and bytes per residue.
    """
    residues = sum(row["residues"] for row in rows)
    changed = sum(row["changed"] for row in rows)
    squares = sum(row["residues"] * row["rmsd"] ** 2 for row in rows)
    return {
        "pieces": len(rows),
        "residues": residues,
        "changed": changed,
        "changed_share": round(changed / residues, 4),
        "changed_by_noise_share": round(sum(r["changed_by_noise"] for r in rows) / residues, 4),
        "median_rmsd": round(median(row["rmsd"] for row in rows), 4),
        "median_decoded_rmsd_before": round(median(r["decoded_rmsd_before"] for r in rows), 3),
        "median_decoded_rmsd_after": round(median(r["decoded_rmsd_after"] for r in rows), 3),
        "rmsd": round((squares / residues) ** 0.5, 4),
        "largest": max(row["largest"] for row in rows),
        "bytes_per_residue": round(sum(row["bytes"] for row in rows) / residues, 2),
    }


def main() -> int:
    """Measure, print the totals and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", type=Path, nargs="*", help="PDB files (default: data/structures)")
    parser.add_argument("--name", default="samples", help="of the results (default: samples)")
    parser.add_argument("--model", type=Path, help="model folder (default: the shipped model)")
    args = parser.parse_args()
    files = args.files or sorted((REPOSITORY / "data" / "structures").glob("*.pdb*"))
    tokenizer = StructureTokenizer.from_pretrained(args.model)
    decoder = FoldcompDecoder()
    try:
        rows = [row for path in files for row in measure(tokenizer, path, decoder)]
    finally:
        decoder.close()
    if not rows:
        print("no piece of a chain that FoldComp can hold", file=sys.stderr)
        return 1
    summary = summarize(rows)
    print(", ".join(f"{key} {value}" for key, value in summary.items()))
    results = {
        "fingerprint": tokenizer.fingerprint,
        "codebook_size": tokenizer.codebook_size,
        "summary": summary,
        "pieces": rows,
    }
    save_results(Path(__file__).parent / "results" / f"{args.name}.json", results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
