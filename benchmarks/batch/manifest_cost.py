"""Measure which share of a run its manifest takes.

    provq-protein encode chains.tar -o out/
    python benchmarks/batch/manifest_cost.py out/

What the manifest costs is done once more and timed: making the rows, telling the parent process
where the worker is, writing and syncing the files. The encoding takes what the rows say.
"""

import argparse
import dataclasses
import sys
import tempfile
import threading
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

from provq_protein.batch.manifest import ManifestRow, manifest_bytes, read_manifest
from provq_protein.batch.messages import Counts, ShardDone, Working
from provq_protein.batch.shards import write_synced


def cost(rows: list[ManifestRow], folder: Path) -> float:
    """Return the seconds that the manifest of one shard takes."""
    mine, theirs = Pipe()
    listener = threading.Thread(target=_listen, args=(theirs,))
    listener.start()
    started = time.perf_counter()
    again = []
    for row in rows:
        mine.send(Working(row.index, Counts()))
        again.append(dataclasses.replace(row))
    write_synced(folder / "manifest", manifest_bytes(again))
    mine.send(ShardDone(0, Counts()))
    seconds = time.perf_counter() - started
    listener.join()
    return seconds


def _listen(connection: Connection) -> None:
    while not isinstance(connection.recv(), ShardDone):
        pass


def main() -> int:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("out", type=Path, help="folder of a run")
    args = parser.parse_args()
    shards = [read_manifest(path) for path in sorted(args.out.glob("manifest-*.jsonl"))]
    if not shards:
        print(f"{args.out}: holds no manifest", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(dir=args.out.parent) as scratch:
        manifest = sum(min(cost(rows, Path(scratch)) for _ in range(5)) for rows in shards)
    encoding = sum(row.ms for rows in shards for row in rows) / 1000
    rows = sum(map(len, shards))
    print(f"{rows} rows, encoding {encoding:.1f} s, manifest {manifest:.3f} s")
    print(f"manifest {100 * manifest / encoding:.3f} % of the encoding")
    return 0


if __name__ == "__main__":
    sys.exit(main())
