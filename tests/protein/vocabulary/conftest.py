"""Which chain do the tests of this folder put into ids?"""

from collections.abc import Callable

import numpy as np
import pytest

from provq_protein.tokens.sequence import TokenSequence


def chain_of(ids: list[int], *, codes: int = 4096, **fields: object) -> TokenSequence:
    """Return a chain with these ids, unresolved where they are -1, and residues A, C, D, ..."""
    length = len(ids)
    values: dict = {
        "ids": np.array(ids, dtype=np.int32),
        "resolved": np.array(ids, dtype=np.int32) >= 0,
        "sequence": ("ACDEFGHIKLMNPQRSTVWY" * (length // 20 + 1))[:length],
        "residue_names": ("UNK",) * length,
        "author_numbers": np.arange(length) + 1,
        "insertion_codes": ("",) * length,
        "label_numbers": np.arange(length) + 1,
        "chain_id": "A",
        "label_chain_id": "A",
        "source": "1abc.cif",
        "model": 1,
        "fingerprint": "0123456789abcdef",
        "codebook_size": codes,
    }
    return TokenSequence(**(values | fields))


@pytest.fixture
def make_ids_chain() -> Callable[..., TokenSequence]:
    """Return `chain_of`."""
    return chain_of
