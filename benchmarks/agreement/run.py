"""Compare formats and readers, and write numbers and page.

    python benchmarks/agreement/run.py --measure

The same structure in several files has to give the same residue tables and ids, and other readers
the same numbers and coordinates, save for differences of a known reason. Without ``--measure`` only
the page is written, from the results. The exit code is 1 if anything disagrees.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation, and finds its own folder's modules.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from reporting.files import load_results, save_results  # noqa: E402
from reporting.machine import versions  # noqa: E402

from agreement import page  # noqa: E402
from agreement.referee_rules import differences  # noqa: E402
from agreement.referees import (  # noqa: E402
    READERS,
    Found,
    Place,
    UnreadableError,
    read,
)
from agreement.same_structure import Comparison, Content, compare, contents_of  # noqa: E402
from provq_protein.errors import ProvqError  # noqa: E402
from provq_protein.tokenizer import StructureTokenizer  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "agreement.json"
PAGE = REPOSITORY / "docs" / "results" / "agreement.md"
_REAL = REPOSITORY.parent / "shared" / "data" / "structures"
FOLDERS = {
    "samples": REPOSITORY / "data" / "structures",
    "rcsb": _REAL / "rcsb",
    "bm5": _REAL / "bm5",
    "casp14": _REAL / "casp14",
}
"""Sets of structure files; those that are not there are left out."""

_PACKAGES = ("numpy", "biotite", "gemmi", "biopython", "torch")
_GIVEN_FORMATS = ("PDB", "BinaryCIF")


def build_parser() -> argparse.ArgumentParser:
    """
    Return the parser of the command line.

    Returns
    -------
    ArgumentParser
        Of this script.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measure", action="store_true", help="compare before the page is written")
    parser.add_argument("--results", type=Path, default=RESULTS, help="results file")
    parser.add_argument("--page", type=Path, default=PAGE, help="page to write")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if it is stale")
    return parser


def main(argv: list[str] | None = None) -> int:
    """
    Compare, if asked to, and write the page; or check it.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default those of this process.

    Returns
    -------
    int
        0; 1 if the page is stale or anything disagrees, 2 if something cannot be read.
    """
    args = build_parser().parse_args(argv)
    try:
        if args.measure and not args.check:
            save_results(args.results, measure(FOLDERS))
            print(f"wrote {args.results}")
        results = load(args.results)
        text = page.document(results)
        if args.check:
            current = args.page.is_file() and args.page.read_text(encoding="utf-8") == text
            if not current:
                print(f"{args.page}: does not show the current results", file=sys.stderr)
            return 0 if current else 1
        args.page.write_text(text, encoding="utf-8")
    except (ProvqError, OSError, ValueError) as error:
        print(f"run.py: error: {error}", file=sys.stderr)
        return 2
    print(f"wrote {args.page}")
    count = page.disagreements(results)
    print(f"differences that should not be: {count}")
    return 1 if count else 0


def load(path: Path) -> dict[str, Any]:
    """
    Read results.

    Parameters
    ----------
    path : Path
        The results file.

    Returns
    -------
    dict
        JSON values.
    """
    return load_results(
        path,
        kind=page.FORMAT,
        version=page.FORMAT_VERSION,
        advice="make it with benchmarks/agreement/run.py --measure",
    )


def measure(folders: Mapping[str, Path]) -> dict[str, Any]:
    """
    Compare the files of all sets that are there.

    Parameters
    ----------
    folders : mapping of str to Path
        Sets of structure files.

    Returns
    -------
    dict
        JSON values.
    """
    tokenizer = StructureTokenizer.from_pretrained()
    present = {name: contents_of(path) for name, path in folders.items() if path.is_dir()}
    pairs = [
        [name, *astuple(one)]
        for name, contents in present.items()
        for one in (
            *compare_formats(contents, tokenizer, written=name == "bm5"),
            *compare_packed(contents, tokenizer),
        )
    ]
    asked = [
        {"set": name, **row} for name, contents in present.items() for row in ask_readers(contents)
    ]
    return {
        "format": page.FORMAT,
        "format_version": page.FORMAT_VERSION,
        "command": "python benchmarks/agreement/run.py --measure",
        "versions": versions(_PACKAGES),
        "fingerprint": tokenizer.fingerprint,
        "pair_columns": ["set", *(one.name for one in fields(Comparison))],
        "pairs": pairs,
        "readers": [row for row in asked if "unread" not in row],
        "unread": [row for row in asked if "unread" in row],
    }


def compare_formats(
    contents: Sequence[Content], tokenizer: StructureTokenizer | None, *, written: bool
) -> Iterator[Comparison]:
    """
    Compare the formats that a structure has.

    Parameters
    ----------
    contents : sequence of Content
        Files of one set.
    tokenizer : StructureTokenizer or None
        Of the ids; None leaves them out.
    written : bool
        Whether to compare PDB files with mmCIF that gemmi writes of them.

    Yields
    ------
    Comparison
        One per pair of files.
    """
    mmcif = {Path(one.name).stem: one for one in contents if one.format == "mmCIF"}
    for one in contents:
        partner = mmcif.get(Path(one.name).stem)
        if partner is not None and one.format in _GIVEN_FORMATS:
            yield compare(partner, one, tokenizer, pair=f"mmCIF and {one.format}")
        if written and one.format == "PDB":
            pair = "PDB and mmCIF by gemmi"
            yield compare(one, one.as_mmcif(), tokenizer, pair=pair)


def compare_packed(
    contents: Sequence[Content], tokenizer: StructureTokenizer | None
) -> Iterator[Comparison]:
    """
    Compare each file with its gzip.

    Parameters
    ----------
    contents : sequence of Content
        Files of one set.
    tokenizer : StructureTokenizer or None
        Of the ids; None leaves them out.

    Yields
    ------
    Comparison
        One per file.
    """
    for one in contents:
        yield compare(one, one.packed(), tokenizer, pair=f"{one.format}, plain and gzip")


def ask_readers(contents: Sequence[Content]) -> Iterator[dict[str, Any]]:
    """
    Compare files with what other readers find in them.

    Parameters
    ----------
    contents : sequence of Content
        Files of one set.

    Yields
    ------
    dict
        Reader, file, counts of residues, and of differences by reason, with an example of each.
    """
    for reader in READERS:
        for one in contents:
            try:
                found = read(reader, one.data, one.format)
            except UnreadableError as error:
                yield {"reader": reader, "file": one.name, "unread": str(error)}
                continue
            if found is None:
                continue
            yield _row(reader, one, found)


def _row(reader: str, one: Content, found: Mapping[Place, Found]) -> dict[str, Any]:
    chains = one.chains()
    unlike = differences(chains, found, reader=reader, file_format=one.format)
    examples: dict[str, str] = {}
    for difference in unlike:
        examples.setdefault(difference.reason, difference.what)
    residues = sum(map(len, chains))
    about = {difference.what.split(":")[0] for difference in unlike if difference.ours}
    return {
        "reader": reader,
        "file": one.name,
        "chains": len(chains),
        "residues": residues,
        "alike": residues - len(about),
        "reasons": dict(Counter(difference.reason for difference in unlike)),
        "examples": examples,
    }


if __name__ == "__main__":
    sys.exit(main())
