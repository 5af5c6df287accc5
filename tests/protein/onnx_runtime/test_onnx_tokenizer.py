"""Are tokens without torch those of torch, and is torch really not needed for them?"""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("onnxruntime", reason="encoding without torch needs the extra 'onnx'")

from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.model.chain_decoder import ChainDecoderConfig
from provq_protein.model.chain_encoder import ChainEncoderConfig
from provq_protein.onnx_runtime.tokenizer import OnnxStructureTokenizer
from provq_protein.structure.backbone import Backbone
from provq_protein.tokenizer import StructureTokenizer
from provq_protein.training.config import load_recipe

_FIELDS = [
    "resolved", "sequence", "residue_names", "author_numbers", "insertion_codes",
    "label_numbers", "chain_id", "label_chain_id", "source", "model", "fingerprint",
    "codebook_size", "mean_plddt",
]  # fmt: skip


@pytest.fixture(scope="module")
def shipped():
    """Return the shipped model, with and without torch."""
    return StructureTokenizer.from_pretrained(), OnnxStructureTokenizer.from_pretrained()


def assert_same_tokens(expected, found) -> None:
    assert len(found) == len(expected)
    for one, other in zip(expected, found, strict=True):
        name = f"{one.source} {one.chain_id}"
        for field in _FIELDS:
            assert np.array_equal(getattr(one, field), getattr(other, field)), (name, field)
        wrong = np.flatnonzero(one.ids != other.ids)
        assert not wrong.size, f"{name}: {wrong.size} of {len(one)} ids differ, from {wrong[:3]} on"


def test_the_samples_have_the_same_tokens(shipped, sample_structures) -> None:
    problems: tuple[list, list] = ([], [])
    tokens = [
        tokenizer.encode(sample_structures, on_problem=reports.append)
        for tokenizer, reports in zip(shipped, problems, strict=True)
    ]
    assert_same_tokens(*tokens)
    assert problems[0] == problems[1]
    # Among them are chains with breaks, whose codes are the last ones, and unresolved residues.
    assert any((chain.ids >= 3840).any() for chain in tokens[1])
    assert any(not chain.resolved.all() for chain in tokens[1])


def test_latents_are_those_of_torch_up_to_rounding(shipped, sample_structures) -> None:
    expected, found = (tokenizer.embed(sample_structures[:3]) for tokenizer in shipped)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-5, rtol=0)


def test_chains_of_few_residues_gaps_and_odd_numbers_have_the_same_tokens(
    shipped, make_coords
) -> None:
    whole = make_coords(60, 4)
    chains = [Backbone.from_arrays(whole[:length]) for length in (1, 2, 3, 5, 15, 16, 17, 60)]
    gapped = whole.copy()
    gapped[[0, 1, 20, 21, 22, 40, 59], 1] = np.nan
    chains.append(Backbone.from_arrays(gapped))
    alone = whole.copy()
    alone[np.arange(60) != 30] = np.nan
    chains.append(Backbone.from_arrays(alone))
    jumping = whole.copy()
    jumping[30:] += 40.0
    chains.append(Backbone.from_arrays(jumping))
    scattered = Backbone.from_arrays(whole[::7])
    numbers = np.array([5, -300, 5, 9000, 0, 1, 2, 2, 3], dtype=np.int32)
    chains.append(
        dataclasses.replace(
            scattered,
            author_numbers=numbers,
            confidence="plddt",
            b_factors=np.linspace(50, 90, 9, dtype=np.float32),
        )
    )
    expected, found = (tokenizer.encode(chains) for tokenizer in shipped)
    assert_same_tokens(expected, found)
    assert expected[-1].mean_plddt is not None


def test_what_cannot_be_encoded_is_reported_alike(shipped, tmp_path, make_coords) -> None:
    broken = tmp_path / "broken.cif"
    broken.write_text("data_x\n")
    only_alpha = make_coords(5, 0)
    only_alpha[:, [0, 2]] = np.nan
    inputs = [broken, Backbone.from_arrays(only_alpha), Backbone.from_arrays(make_coords(5, 0))]
    reports: tuple[list, list] = ([], [])
    for tokenizer, report in zip(shipped, reports, strict=True):
        assert len(tokenizer.encode(inputs, on_problem=report.append)) == 1
    assert [str(one) for one in reports[0]] == [str(one) for one in reports[1]]
    assert len(reports[0]) == 2


def chain_model(**changes) -> StructureAutoencoder:
    """Return a small untrained model that follows the chain, with codes for chain breaks."""
    recipe = load_recipe("smoke").model
    shared = {
        field.name: getattr(recipe.encoder, field.name)
        for field in dataclasses.fields(recipe.encoder)
    }
    settings = {"chain_reach": 3, "course_width": 24, "drift_weight": 0.5, "break_codes": 4}
    encoder = ChainEncoderConfig(**{**shared, "latent_dim": 14, **settings, **changes})
    decoder = ChainDecoderConfig(
        **{
            **{
                field.name: getattr(recipe.decoder, field.name)
                for field in dataclasses.fields(recipe.decoder)
            },
            "latent_dim": 14,
        }
    )
    config = dataclasses.replace(recipe, encoder=encoder, decoder=decoder)
    return StructureAutoencoder.build(config, seed=1)


def fit_breaks(model: StructureAutoencoder) -> None:
    generator = torch.Generator().manual_seed(2)
    axes = torch.linalg.qr(torch.randn(40, 3, 3, generator=generator)).Q
    axes[:, :, 2] *= torch.linalg.det(axes)[:, None]
    model.breaks.fit((axes, 9 * torch.randn(40, 3, generator=generator)), seed=0, iterations=5)


@pytest.mark.parametrize(
    ("kind", "changes", "fitted"),
    [
        ("neighborhood", {}, False),
        ("chain", {}, True),
        ("chain", {}, False),
        ("chain", {"drift_weight": 0.0}, True),
        ("chain", {"drift_weight": 0.0}, False),
        ("chain", {"break_codes": 0, "chain_reach": 1}, False),
    ],
)
def test_any_model_of_the_kind_has_the_same_tokens(
    kind, changes, fitted, tmp_path, make_coords
) -> None:
    small = load_recipe("smoke").model
    model = StructureAutoencoder.build(small) if kind == "neighborhood" else chain_model(**changes)
    coords = make_coords(160, 3)
    coords[[0, 50, 51, 110], 0] = np.nan
    chains = [Backbone.from_arrays(coords), Backbone.from_arrays(coords[:40])]
    latents = StructureTokenizer(model).embed(chains)[0]
    seeds = torch.from_numpy(latents[np.isfinite(latents).all(axis=1)])
    model.quantizer.seed(seeds, torch.Generator().manual_seed(0))
    if fitted:
        fit_breaks(model)
    model.save(tmp_path / "model", training={})
    tokenizer = OnnxStructureTokenizer.from_pretrained(tmp_path / "model")
    found = tokenizer.encode(chains)
    assert_same_tokens(StructureTokenizer(model).encode(chains), found)
    assert len(np.unique(found[0].ids)) > 5
    assert tokenizer.codebook_size == small.codebook.size
    if kind == "chain" and changes.get("break_codes") != 0:
        assert (found[0].ids >= 28).any() == fitted


def test_long_chains_are_encoded_in_parts_with_the_same_tokens(shipped, make_coords) -> None:
    chains = [Backbone.from_arrays(make_coords(1300, 5))]
    assert_same_tokens(*(tokenizer.encode(chains) for tokenizer in shipped))


_WITHOUT_TORCH = """
import json, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ImportError("torch was asked for")
sys.meta_path.insert(0, Refuse())
from provq_protein.onnx_runtime.tokenizer import OnnxStructureTokenizer
tokenizer = OnnxStructureTokenizer.from_pretrained()
chains = tokenizer.encode([sys.argv[1]])
print(json.dumps({"ids": chains[0].ids.tolist(), "fingerprint": chains[0].fingerprint}))
"""


def test_torch_is_neither_imported_nor_missed(shipped, repo_root: Path) -> None:
    sample = repo_root / "data" / "structures" / "1a8o.pdb"
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_TORCH, str(sample)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = shipped[0].encode([sample])[0]
    assert json.loads(done.stdout) == {
        "ids": expected.ids.tolist(),
        "fingerprint": expected.fingerprint,
    }
