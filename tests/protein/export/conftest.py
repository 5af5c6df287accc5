"""Which token files do the tests of this folder export?"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from provq_protein.tokens.formats import save_tokens
from provq_protein.tokens.sequence import TokenSequence


def entry(number: int, *, codes: int = 4096, **fields: object) -> TokenSequence:
    """Return a chain of 0 to 40 residues from the file ``eNUMBER.cif``, some unresolved."""
    random = np.random.default_rng(number)
    length = int(random.integers(1, 41)) if number else 0
    resolved = random.random(length) < 0.8
    values: dict = {
        "ids": np.where(resolved, random.integers(0, codes, length), -1),
        "resolved": resolved,
        "sequence": "".join(random.choice(list("ACDEFGHIKLMNPQRSTVWYX"), length)),
        "residue_names": ("UNK",) * length,
        "author_numbers": np.arange(length) - 2,
        "insertion_codes": ("A",) * length,
        "label_numbers": np.arange(length) + 1,
        "chain_id": "A",
        "label_chain_id": "B",
        "source": f"in/e{number}.cif",
        "model": 1,
        "fingerprint": "0123456789abcdef",
        "codebook_size": codes,
    }
    return TokenSequence(**(values | fields))


@pytest.fixture
def make_entry() -> Callable[..., TokenSequence]:
    """Return `entry`."""
    return entry


@pytest.fixture
def corpus(tmp_path) -> tuple[list[Path], list[TokenSequence]]:
    """Return a folder with two Parquet files, two files of other formats, and their chains."""
    pytest.importorskip("pyarrow", reason="needs the extra provq[parquet]")
    chains = [entry(number) for number in range(20)]
    shards = tmp_path / "shards"
    shards.mkdir()
    # Not written in the order of their names.
    save_tokens(shards / "part-1.parquet", chains[5:9])
    save_tokens(shards / "part-0.parquet", chains[:5])
    (shards / ".part-2.parquet.tmp").write_bytes(b"half")
    (shards / ".part-3.parquet").write_bytes(b"half")
    save_tokens(tmp_path / "more.jsonl", chains[9:15])
    save_tokens(tmp_path / "more.npz", chains[15:])
    return [shards, tmp_path / "more.jsonl", tmp_path / "more.npz"], chains
