"""How many residues per second become tokens, from the bytes of mmCIF files?"""

import importlib
import importlib.util
import io
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch

from parse_speed.routes import Content
from provq_protein.structure.reading import backbones_of_bytes
from provq_protein.tokenizer import StructureTokenizer

PROVQ = "provq, default model"
MINI3DI = "mini3di with Biopython's MMCIFParser"


def measure_end_to_end(contents: Sequence[Content], rounds: int) -> dict[str, Any]:
    """
    Measure files to tokens, of the chains of model 1.

    Parameters
    ----------
    contents : sequence of Content
        mmCIF files.
    rounds : int
        How often each tokenizer takes each file.

    Returns
    -------
    dict of str to dict
        Residues that got a token, and those per CPU second, median over rounds.
    """
    torch.set_num_threads(1)
    found: dict[str, Callable[[Content], int]] = {PROVQ: _provq()}
    if all(importlib.util.find_spec(name) is not None for name in ("mini3di", "Bio")):
        found[MINI3DI] = _mini3di()
    seconds: dict[str, list[float]] = {name: [] for name in found}
    residues: dict[str, int] = {}
    for encode in found.values():
        encode(contents[0])
    for _ in range(rounds):
        for name, encode in found.items():
            begin = time.process_time()
            residues[name] = sum(encode(one) for one in contents)
            seconds[name].append(time.process_time() - begin)
    return {
        name: {
            "residues": residues[name],
            "residues_per_second": round(residues[name] / statistics.median(seconds[name]), 1),
        }
        for name in found
    }


def _provq() -> Callable[[Content], int]:
    tokenizer = StructureTokenizer.from_pretrained()

    def encode(content: Content) -> int:
        chains = backbones_of_bytes(content.data, source=content.name)
        return sum(int(one.resolved.sum()) for one in tokenizer.encode(chains))

    return encode


def _mini3di() -> Callable[[Content], int]:
    from Bio.PDB.MMCIFParser import MMCIFParser

    encoder: Any = importlib.import_module("mini3di").Encoder()

    def encode(content: Content) -> int:
        parser = MMCIFParser(QUIET=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            structure: Any = parser.get_structure("x", io.StringIO(content.data.decode()))
            # It fails on a chain without any protein, such as one of DNA.
            chains = [chain for chain in structure[0].get_chains() if _has_protein(chain)]
            states = [encoder.encode_chain(chain) for chain in chains]
        return sum(len(one) for one in states)

    return encode


def _has_protein(chain: Any) -> bool:  # noqa: ANN401 - Biopython has no types
    return any(residue.id[0] == " " and "CA" in residue for residue in chain)
