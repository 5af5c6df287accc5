"""What encoding costs: the shipped model beside an encoder of ESM3's size, in operations."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.tokenizer import StructureTokenizer
from provq_protein.training.config import load_recipe


def _operations(model, batch):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.encode(*batch)
    return counter.get_total_flops()


def test_the_default_model_needs_a_twentieth_of_the_operations_of_esm3_size(batch_of, make_coords):
    batch = batch_of([make_coords(96, 0)])
    default = _operations(StructureTokenizer.from_pretrained().model, batch)
    large = _operations(StructureAutoencoder.build(load_recipe("vanilla_vq").model), batch)
    assert 0 < default <= large / 20
