"""What do the tests of label sources share: small chains, archives and label files?"""

import numpy as np
import pytest

from provq_protein.errors import StructureError
from provq_protein.structure.backbone import Backbone


def make_chain(sequence="MKTAYIAKQR", numbers=None, codes=None, *, chain_id="A", seed=0):
    """Give a chain of random coordinates."""
    coords = np.random.default_rng(seed).normal(scale=10, size=(len(sequence), 3, 3))
    return Backbone.from_arrays(
        coords,
        sequence=sequence,
        author_numbers=numbers,
        insertion_codes=codes,
        chain_id=chain_id,
    )


class Chains:
    """A source of chains that are in memory."""

    description = "a test"

    def __init__(self, chains):
        self.chains = chains
        self.asked = []

    def find(self, entry, chain):
        self.asked.append((entry, chain))
        if (entry, chain) not in self.chains:
            msg = f"no chain {entry}_{chain}"
            raise StructureError(msg)
        return self.chains[entry, chain], None


@pytest.fixture
def chain_of():
    return make_chain


@pytest.fixture
def chains_of():
    return Chains


@pytest.fixture
def archive_folder(tmp_path):
    """Give a function that writes backbones.npz and labels.npz."""

    def write(chains, labels=(), homology=(), scope=(), **changed):
        """Write chains (pdb, chain, sequence, numbers, cluster) and labels of their records."""
        lengths = [len(sequence) for _, _, sequence, _, _ in chains]
        total = sum(lengths)
        coords = np.random.default_rng(1).integers(-2000, 2000, (total, 4, 3)).astype(np.int16)
        arrays = {
            "offsets": np.cumsum([0, *lengths]),
            "coords": coords,
            "seq": np.array(list("".join(one[2] for one in chains)), dtype="S1"),
            "resnum": np.concatenate([one[3] for one in chains]).astype(np.int16),
            "bfac": np.ones(total, dtype=np.float16),
            "pdb": np.array([one[0] for one in chains]),
            "chain": np.array([one[1] for one in chains]),
            "c40": np.array([one[4] for one in chains]),
            "c95": np.arange(len(chains)),
        }
        np.savez(tmp_path / "backbones.npz", **{**arrays, **changed})
        values = [np.asarray(one[3], dtype=np.float16) for one in labels]
        homo = list(zip(*homology, strict=True)) if homology else [[]] * 5
        scop = list(zip(*scope, strict=True)) if scope else [[]] * 4
        np.savez(
            tmp_path / "labels.npz",
            task=np.array([one[0] for one in labels], dtype="U20"),
            split=np.array([one[1] for one in labels], dtype="U20"),
            rec=np.array([one[2] for one in labels], dtype=np.int32),
            offsets=np.cumsum([0, *map(len, values)]),
            values=np.concatenate(values) if values else np.zeros(0, dtype=np.float16),
            **{
                f"homo_{name}": np.array(column)
                for name, column in zip(("rec", "split", "fold", "start", "end"), homo, strict=True)
            },
            **{
                f"scop_{name}": np.array(column)
                for name, column in zip(("rec", "start", "end", "class"), scop, strict=True)
            },
        )
        return tmp_path

    return write
