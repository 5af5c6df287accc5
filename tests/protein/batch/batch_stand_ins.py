"""Which encoders, quicker and worse-behaved than a model, do the tests of runs use?

As a program, encode with `slow`: ``batch_stand_ins.py INPUT OUT``.
"""

import errno
import os
import signal
import sys
import time

import numpy as np

from provq_protein.structure.backbone import Backbone
from provq_protein.tokens.sequence import TokenSequence

FINGERPRINT = "0123456789abcdef"


def tokens_of(chain: Backbone, fingerprint: str = FINGERPRINT) -> TokenSequence:
    """Return ids that follow from coordinates: rounded lengths of the CA positions."""
    sizes = np.linalg.norm(np.nan_to_num(chain.coords[:, 1]), axis=-1)
    ids = np.where(chain.resolved, (sizes * 10).astype(np.int64) % 512, -1)
    return TokenSequence(
        ids=ids, resolved=chain.resolved, sequence=chain.sequence,
        residue_names=chain.residue_names, author_numbers=chain.author_numbers,
        insertion_codes=chain.insertion_codes, label_numbers=chain.label_numbers,
        chain_id=chain.chain_id, label_chain_id=chain.label_chain_id, source=chain.source,
        model=chain.model, fingerprint=fingerprint, codebook_size=512,
    )  # fmt: skip


class Plain:
    """Encode at once, or after a while."""

    fingerprint = FINGERPRINT

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay

    def encode(self, chain: Backbone) -> TokenSequence:
        """Return the tokens."""
        time.sleep(self.delay)
        return tokens_of(chain, self.fingerprint)


def plain() -> Plain:
    """Return a good encoder."""
    return Plain()


def slow() -> Plain:
    """Return an encoder with which a run takes long enough to be killed."""
    return Plain(float(os.environ.get("STAND_IN_DELAY", "0.004")))


def other() -> Plain:
    """Return the encoder of another model."""
    encoder = Plain()
    encoder.fingerprint = "f" * 16
    return encoder


class Naughty(Plain):
    """Do what the name of the file says: die, hang or raise."""

    def encode(self, chain: Backbone) -> TokenSequence:
        """Return the tokens, or do not."""
        if "exits" in chain.source:
            os._exit(3)
        if "killed" in chain.source:
            os.kill(os.getpid(), 9)
        if "hangs" in chain.source:
            time.sleep(3600)
        if "raises" in chain.source:
            msg = "no such luck"
            raise IndexError(msg)
        return super().encode(chain)


def naughty() -> Naughty:
    """Return the encoder."""
    return Naughty()


class Unlucky(Plain):
    """Die once, at the first file whose name says so, if a flag file is not there yet."""

    def encode(self, chain: Backbone) -> TokenSequence:
        """Return the tokens, the second time at the latest."""
        flag = os.environ["PROVQ_TEST_FLAG"]
        if "unlucky" in chain.source and not os.path.exists(flag):  # noqa: PTH110
            os.close(os.open(flag, os.O_CREAT))
            os.kill(os.getpid(), 9)
        return super().encode(chain)


def unlucky() -> Unlucky:
    """Return the encoder."""
    return Unlucky()


def dies_at_start() -> Plain:
    """Never return."""
    os._exit(7)


def fails_at_start() -> Plain:
    """Raise what a damaged model raises."""
    from provq_protein.errors import CheckpointError

    msg = "weights are damaged"
    raise CheckpointError(msg)


def full_disk() -> Plain:
    """Let a token file of which half is written meet the end of the disk, once one is done."""
    from provq_protein.batch import shards

    save = shards.save_tokens

    def failing(path, tokens, *, format):
        if any(path.parent.parent.glob("manifest-*")):
            path.write_bytes(b"half of a")
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        save(path, tokens, format=format)

    shards.save_tokens = failing
    return Plain()


def geometric_fast():
    """Return the model of a test as on a processor that gains from bfloat16."""
    from provq_protein.batch.encoders import load_tokenizer
    from provq_protein.model import fast_ids

    fast_ids.gains_from = lambda products, device: True
    return load_tokenizer(os.environ["STAND_IN_MODEL"], precision="fast")


class NoGain(Plain):
    """Say that fast precision is not used."""

    exact_because = "no luck"


def no_gain() -> NoGain:
    """Return the encoder."""
    return NoGain()


class WrongAudit(Plain):
    """Say that an audited residue of each chain had another id."""

    exact_because = None

    @property
    def fast_facts(self) -> dict[str, object]:
        """What a fast encoder says."""
        return {"residues": 50, "rechecked": 5, "audited": 2, "mismatches": 1}


def wrong_audit() -> WrongAudit:
    """Return the encoder."""
    return WrongAudit()


if __name__ == "__main__":
    # A shell starts background jobs deaf to Ctrl-C, and tests may run in one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from provq_protein.batch.run import RunOptions, encode_to_folder

    encode_to_folder(
        [sys.argv[1]], sys.argv[2], jobs=2, shard_size=3, resume=True, format="jsonl",
        options=RunOptions(load_encoder=slow),
    )  # fmt: skip
