"""How many bytes and seconds does each layout of tokens take?"""

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from provq_protein.export.exporting import export_tokens
from provq_protein.export.shards import TokenShards
from provq_protein.export.token_array import TokenArray
from provq_protein.extras import require_extra
from provq_protein.tokens.chain_names import chain_name
from provq_protein.tokens.formats import FORMATS, load_tokens, save_tokens
from provq_protein.tokens.parquet import CHAINS_PER_ROW_GROUP, require_pyarrow
from provq_protein.tokens.sequence import TokenSequence
from provq_protein.tokens.text import read_fasta

REPEATS = 3
ACCESSES = 100


def entropy_bytes(tokens: Sequence[TokenSequence]) -> float:
    """
    Return what an ideal coder would need that knows how often each code occurs.

    Parameters
    ----------
    tokens : sequence of TokenSequence
        Of one model.

    Returns
    -------
    float
        Bytes per resolved residue, for codes that do not depend on their neighbours. Few
        residues make it too small.
    """
    ids = np.concatenate([chain.ids[chain.resolved] for chain in tokens])
    counts = np.bincount(ids)
    shares = counts[counts > 0] / len(ids)
    return float(-(shares * np.log2(shares)).sum() / 8)


def measure(tokens: Sequence[TokenSequence], folder: Path) -> dict[str, Any]:
    """
    Write and read tokens in every layout.

    Parameters
    ----------
    tokens : sequence of TokenSequence
        Of one model, with different names.
    folder : Path
        Empty, for the files.

    Returns
    -------
    dict
        JSON values.
    """
    residues = sum(len(chain) for chain in tokens)
    names = [chain_name(chain) for chain in tokens]
    chosen = [names[row] for row in np.random.default_rng(0).permutation(len(names))[:ACCESSES]]
    layouts: dict[str, dict[str, Any]] = {}
    for format in FORMATS:
        path = folder / f"tokens.{format}"
        writing = _seconds(lambda path=path: save_tokens(path, tokens, overwrite=True))
        reading = _seconds(lambda path=path: load_tokens(path))
        layouts[format] = _layout(path, residues, writing, reading)
    shards = TokenShards(folder)
    layouts["parquet"]["access_us"] = _access(shards.__getitem__, chosen)
    shards.close()
    source = folder / "tokens.npz"
    loading = layouts["npz"]["read_s"]
    for style in ("ints", "fixed"):
        path = folder / f"{style}.fasta"
        writing = _seconds(
            lambda path=path, style=style: export_tokens(
                [source], path, to="fasta", style=style, overwrite=True
            )
        )
        reading = _seconds(lambda path=path: read_fasta(path))
        layouts[f"fasta, {style}"] = _layout(path, residues, writing - loading, reading)
    path = folder / "memmap"
    writing = _seconds(lambda: export_tokens([source], path, to="memmap", overwrite=True))
    reading = _seconds(lambda: [row.tokens for row in TokenArray(path)])
    layouts["memmap"] = _layout(path, residues, writing - loading, reading)
    layouts["memmap"]["access_us"] = _access(TokenArray(path).by_id, chosen)
    return {
        "chains": len(tokens),
        "residues": residues,
        "codebook_size": tokens[0].codebook_size,
        "fingerprint": tokens[0].fingerprint,
        "row_group": CHAINS_PER_ROW_GROUP,
        "entropy_bytes": entropy_bytes(tokens),
        "layouts": layouts,
        "columns": _columns(folder / "tokens.parquet", residues),
        "pyarrow": require_pyarrow().__version__,
    }


def _layout(path: Path, residues: int, writing: float, reading: float) -> dict[str, Any]:
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    size = sum(one.stat().st_size for one in files)
    return {
        "bytes_per_residue": size / residues,
        "write_s": max(writing, 0.0),
        "read_s": reading,
        "access_us": None,
    }


def _columns(path: Path, residues: int) -> dict[str, float]:
    parquet = require_extra("pyarrow.parquet", extra="parquet", purpose="this benchmark")
    metadata = parquet.ParquetFile(path).metadata
    sizes: dict[str, float] = {}
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            name = column.path_in_schema.split(".")[0]
            sizes[name] = sizes.get(name, 0.0) + column.total_compressed_size / residues
    return sizes


def _seconds(action: Callable[[], object]) -> float:
    """CPU seconds, which do not count what other processes do meanwhile."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return statistics.median(times)


def _access(read: Callable[[str], object], names: Sequence[str]) -> float:
    """Median microseconds to read one chain by its name."""
    times = []
    for name in names:
        start = time.process_time()
        read(name)
        times.append(time.process_time() - start)
    return statistics.median(times) * 1e6
