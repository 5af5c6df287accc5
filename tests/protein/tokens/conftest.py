"""How do the tests of this folder make token sequences and tell them apart?"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from provq_protein.tokens.sequence import TokenSequence

FINGERPRINT = "0123456789abcdef"
CODEBOOK_SIZE = 4096


def chain(**fields: object) -> TokenSequence:
    """Return three residues, the second one unresolved, with some fields replaced."""
    values: dict = {
        "ids": [7, -1, 4095],
        "resolved": [True, False, True],
        "sequence": "MXG",
        "residue_names": ("MSE", "UNK", "GLY"),
        "author_numbers": [-1, 52, 52],
        "insertion_codes": ("", "", "A"),
        "label_numbers": [1, 2, 3],
        "chain_id": "A",
        "label_chain_id": "B",
        "source": "1abc.cif",
        "model": 1,
        "fingerprint": FINGERPRINT,
        "codebook_size": CODEBOOK_SIZE,
    }
    return TokenSequence(**(values | fields))


def random_chain(seed: int) -> TokenSequence:
    """Return a chain of 0 to 40 residues with everything that real and odd files contain."""
    random = np.random.default_rng(seed)
    length = int(random.integers(0, 41))
    resolved = random.random(length) < 0.8

    def pick(options: Sequence[str]) -> str:
        return options[int(random.integers(len(options)))]

    return chain(
        ids=np.where(resolved, random.integers(0, CODEBOOK_SIZE, length), -1),
        resolved=resolved,
        sequence="".join(pick("ACDEFGHIKLMNPQRSTVWYX") for _ in range(length)),
        residue_names=tuple(pick(["ALA", "MSE", "UNK", "A1LU2", "X"]) for _ in range(length)),
        author_numbers=random.integers(-999, 10_000, length),
        insertion_codes=tuple(pick(["", "", "A", "Z", "1", "é"]) for _ in range(length)),
        label_numbers=random.integers(1, 5000, length),
        chain_id=pick(["A", "a", "AA-2", "1", "_", "β", "链", "🧬", "A ", ' "', "é" * 40]),
        label_chain_id=pick(["A", "AAA", "ü"]),
        # The last one is what Python makes of a file name that is no UTF-8.
        source=pick(["", "1abc.cif", "a b/ü/1abc.cif.gz", "C:\\x.pdb", "bad\udce9.pdb"]),
        model=int(random.integers(1, 60)),
        fingerprint=pick([FINGERPRINT, "f" * 16]),
        mean_plddt=[None, None, 0.1, 87.25, 100.0][int(random.integers(5))],
    )


def assert_equal(found: Sequence[TokenSequence], expected: Sequence[TokenSequence]) -> None:
    """Compare every field of every chain, dtypes included."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for field in dataclasses.fields(TokenSequence):
            mine, theirs = getattr(one, field.name), getattr(other, field.name)
            assert type(mine) is type(theirs), field.name
            if isinstance(mine, np.ndarray):
                assert mine.dtype == theirs.dtype, field.name
                np.testing.assert_array_equal(mine, theirs, err_msg=field.name)
            else:
                assert mine == theirs, field.name


@pytest.fixture
def make_chain() -> Callable[..., TokenSequence]:
    """Return `chain`."""
    return chain


@pytest.fixture
def odd_chains() -> list[TokenSequence]:
    """Return forty random chains."""
    return [random_chain(seed) for seed in range(40)]


@pytest.fixture
def same() -> Callable[[Sequence[TokenSequence], Sequence[TokenSequence]], None]:
    """Return `assert_equal`."""
    return assert_equal
