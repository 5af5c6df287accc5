"""Pack chains of an array file into a tar of structure files, to try runs on.

    python benchmarks/batch/make_tar.py ../shared/data/backbones.npz chains.tar --chains 2000

Each chain is an mmCIF file of its own. The same arrays give the same bytes.
"""

import argparse
import io
import sys
import tarfile
import tempfile
from pathlib import Path

from provq_protein.structure.backbone import Backbone
from provq_protein.structure.writing import write_backbone
from provq_protein.training.array_import import array_chains, load_arrays


def add_chain(archive: tarfile.TarFile, chain: Backbone, scratch: Path) -> None:
    """Append one chain as ``<source>_<chain>.cif``."""
    path = scratch / f"{chain.source}_{chain.chain_id}.cif"
    write_backbone(path, chain)
    content = path.read_bytes()
    path.unlink()
    entry = tarfile.TarInfo(path.name)  # its time and owner are constants
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def main() -> int:
    """Write the archive."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("arrays", type=Path, help="array file, see docs/formats.md")
    parser.add_argument("tar", type=Path, help="archive to write")
    parser.add_argument("--chains", type=int, default=2000, help="number of chains (2000)")
    args = parser.parse_args()
    arrays = load_arrays(args.arrays)
    packed = residues = 0
    with tarfile.open(args.tar, "w") as archive, tempfile.TemporaryDirectory() as scratch:
        for chain in array_chains(arrays, range(len(arrays["pdb"]))):
            if not chain.resolved.any():
                continue
            add_chain(archive, chain, Path(scratch))
            packed, residues = packed + 1, residues + len(chain)
            if packed == args.chains:
                break
    print(f"{args.tar}: {packed} chains, {residues} residues")
    return 0 if packed == args.chains else 1


if __name__ == "__main__":
    sys.exit(main())
