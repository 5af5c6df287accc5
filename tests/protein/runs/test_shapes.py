"""Shapes of a module without its memory, and without waiting for torch's compiler."""

import subprocess
import sys

import torch
from torch import nn

from provq_protein.quantize.presets import METHODS
from provq_protein.runs.shapes import shapes_of

_LOADING = """
import sys
from provq_protein.tokenizer import StructureTokenizer
StructureTokenizer.from_pretrained()
sys.exit("torch._dynamo" in sys.modules)
"""


class _Starts(nn.Module):
    """Begins in all the ways that models of this package begin."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 5)
        self.embedding = nn.Embedding(7, 2)
        self.drawn = nn.Parameter(torch.randn(4, 6, generator=torch.Generator(device="cpu")))
        self.register_buffer("flag", torch.tensor(False))
        self.square = nn.Linear(3, 3)
        nn.init.eye_(self.square.weight)
        nn.init.zeros_(tensor=self.linear.bias)


def test_shapes_are_those_of_the_module():
    wanted = {name: value.shape for name, value in _Starts().state_dict().items()}
    assert shapes_of(_Starts) == wanted


def test_shapes_of_codebooks_are_theirs():
    for name in ("vanilla", "vanilla_l2", "ema", "aminoaseed", "simvq", "fsq"):
        build = METHODS[name].build
        wanted = {key: value.shape for key, value in build(64, 4).state_dict().items()}
        assert shapes_of(lambda build=build: build(64, 4)) == wanted, name


def test_nothing_is_allocated_or_left_behind():
    assert shapes_of(lambda: nn.Linear(10**7, 10**7))["weight"] == (10**7, 10**7)
    assert not nn.Linear(2, 2).weight.is_meta
    assert float(nn.init.ones_(torch.empty(1))) == 1.0


def test_loading_a_model_does_not_wait_for_the_compiler():
    done = subprocess.run([sys.executable, "-c", _LOADING], check=False)
    assert done.returncode == 0
