"""Are graphs what an encoder sees, and do they batch, mask and load as PyTorch Geometric's do?"""

import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from provq_protein.errors import (
    ConfigError,
    MissingExtraError,
    StructureError,
    TokenFormatError,
)
from provq_protein.geometry.frames import place_backbone
from provq_protein.interop.pyg import to_pyg
from provq_protein.model import geometric_encoder, neighborhood_encoder
from provq_protein.model.geometric_encoder import GeometricEncoder, GeometricEncoderConfig
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.reading import read_backbones
from provq_protein.tokenizer import StructureTokenizer
from provq_protein.tokens.of_chain import centered

pytestmark = [
    pytest.mark.skipif(
        find_spec("torch_geometric") is None, reason="graphs need the extra 'interop'"
    ),
    # Some releases of torch-geometric compile TorchScript when they are imported.
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),
]

GAP = 7


@pytest.fixture(scope="module")
def tokenizer():
    return StructureTokenizer.from_pretrained()


@pytest.fixture(scope="module")
def chains(sample_structures):
    """Return chains of the samples, of 24 to 567 residues, one with an unresolved residue."""
    return [
        chain
        for path in sample_structures
        if path.name.startswith(("1as5", "1gbt", "2xhe", "3jqh"))
        for chain in read_backbones(path)
    ]


@pytest.fixture
def gapped(make_coords):
    """Return a chain of 30 residues of which one lacks its CA."""
    coords = make_coords(30, 5)
    coords[GAP, 1] = np.nan
    return Backbone.from_arrays(coords, sequence="G" * 30, chain_id="B", source="gap.cif")


@pytest.fixture
def seen_by(monkeypatch):
    """Return a function that encodes and returns the neighborhoods that the encoder looked up."""

    def call(module, encode):
        looked_up = []

        def spy(*arguments):
            looked_up.append(search(*arguments))
            return looked_up[-1]

        search = module.nearest_residues
        monkeypatch.setattr(module, "nearest_residues", spy)
        encode()
        monkeypatch.undo()
        ((index, valid),) = looked_up
        return index[0], valid[0]

    return call


def edges(graph):
    return [tuple(pair) for pair in graph.edge_index.T.tolist()]


def pairs(index, valid, resolved):
    return [
        (neighbor, residue)
        for residue in np.flatnonzero(resolved).tolist()
        for neighbor, there in zip(index[residue].tolist(), valid[residue].tolist(), strict=True)
        if there and resolved[neighbor]
    ]


def test_edges_are_the_neighbors_that_the_shipped_encoder_sees(tokenizer, chains, seen_by):
    neighbors = tokenizer.model.config.encoder.neighbors
    for chain in chains:
        found = seen_by(neighborhood_encoder, lambda chain=chain: tokenizer.encode([chain]))
        assert edges(to_pyg(chain)) == pairs(*found, chain.resolved), chain.source
        assert edges(to_pyg(chain, neighbors=neighbors)) == edges(to_pyg(chain))


def test_edges_are_the_neighbors_that_a_geometric_encoder_sees(chains, seen_by):
    encoder = GeometricEncoder(
        GeometricEncoderConfig(latent_dim=4, width=32, vector_heads=4, neighbors=9)
    ).eval()
    for chain in chains:
        coords = torch.from_numpy(centered(chain))[None]
        resolved = torch.tensor(chain.resolved)[None]
        numbers = torch.arange(len(chain))[None]
        batch = (coords, resolved, numbers, torch.ones_like(resolved))
        with torch.no_grad():
            found = seen_by(geometric_encoder, lambda batch=batch: encoder(*batch))
        assert edges(to_pyg(chain, neighbors=9)) == pairs(*found, chain.resolved), chain.source


def test_a_graph_holds_the_chain(tokenizer, chains):
    chain = max(chains, key=lambda chain: len(set(chain.insertion_codes)))
    (tokens,) = tokenizer.encode([chain])
    graph = to_pyg(chain, tokens)
    assert graph.validate()
    assert graph.num_nodes == len(chain)
    assert np.array_equal(graph.coords.numpy(), chain.coords)
    assert np.array_equal(graph.pos.numpy(), chain.coords[:, 1])
    assert graph.tokens.tolist() == tokens.ids.tolist()
    assert graph.author_numbers.tolist() == chain.author_numbers.tolist()
    assert graph.label_numbers.tolist() == chain.label_numbers.tolist()
    assert tuple(graph.insertion_codes) == chain.insertion_codes
    assert len(set(graph.insertion_codes)) > 1
    assert (graph.sequence, graph.chain_id) == (chain.sequence, chain.chain_id)
    assert "tokens" not in to_pyg(chain)


def test_frames_place_the_backbone(chains):
    for chain in chains:
        graph = to_pyg(chain)
        placed = place_backbone(graph.rotations, graph.pos)[graph.resolved]
        away = torch.linalg.vector_norm(placed - graph.coords[graph.resolved], dim=-1)
        # Ideal geometry instead of that of the residue.
        assert away.median() < 0.1
        assert torch.linalg.det(graph.rotations).allclose(torch.ones(len(chain)), atol=1e-4)


def test_an_unresolved_residue_is_a_masked_node_without_edges(tokenizer, gapped):
    graph = to_pyg(gapped, tokenizer.encode([gapped])[0])
    assert graph.num_nodes == len(gapped) == 30
    assert graph.resolved.tolist() == gapped.resolved.tolist()
    assert GAP not in graph.edge_index
    assert graph.tokens[GAP] == -1
    assert graph.pos[GAP].tolist() == [0, 0, 0]
    assert graph.rotations[GAP].tolist() == torch.eye(3).tolist()
    assert all(torch.isfinite(graph[name]).all() for name in ("pos", "coords", "rotations"))


def test_every_residue_comes_first_among_its_neighbors(gapped):
    graph = to_pyg(gapped, neighbors=3)
    source, target = graph.edge_index
    assert source[::3].tolist() == target[::3].tolist() == [*range(GAP), *range(GAP + 1, 30)]
    away = torch.linalg.vector_norm(graph.pos[source] - graph.pos[target], dim=-1).view(-1, 3)
    assert (away.diff(dim=1) >= 0).all()


def test_a_chain_shorter_than_its_neighborhood_is_complete(make_coords):
    graph = to_pyg(Backbone.from_arrays(make_coords(4, 1)))
    assert sorted(edges(graph)) == [(i, j) for i in range(4) for j in range(4)]


def test_graphs_of_several_chains_make_a_batch(tokenizer, chains, gapped):
    several = [*chains, gapped]
    from_here = [
        to_pyg(chain, tokens)
        for chain, tokens in zip(several, tokenizer.encode(several), strict=True)
    ]
    from torch_geometric.data import Batch

    batch = Batch.from_data_list(from_here)
    assert batch.num_graphs == len(several)
    assert batch.num_nodes == sum(map(len, several))
    assert batch.ptr.diff().tolist() == [len(chain) for chain in several]
    # No edge joins two chains.
    source, target = batch.edge_index
    assert torch.equal(batch.batch[source], batch.batch[target])
    assert batch.sequence == [chain.sequence for chain in several]
    for graph, again in zip(from_here, batch.to_data_list(), strict=True):
        assert torch.equal(graph.edge_index, again.edge_index)
        assert torch.equal(graph.tokens, again.tokens)
        assert graph.insertion_codes == again.insertion_codes


def test_a_data_loader_serves_graphs(gapped):
    graphs = [to_pyg(gapped, neighbors=size) for size in (2, 3, 4)]
    from torch_geometric.loader import DataLoader

    sizes = [(batch.num_graphs, batch.num_edges) for batch in DataLoader(graphs, batch_size=2)]
    assert sizes == [(2, 29 * (2 + 3)), (1, 29 * 4)]


def test_tokens_of_another_chain_are_refused(tokenizer, chains, gapped):
    (tokens,) = tokenizer.encode([gapped])
    with pytest.raises(
        TokenFormatError, match=r"gap\.cif: chain B \(30 residues\): not the tokens"
    ):
        to_pyg(chains[0], tokens)
    numbered = replace(gapped, author_numbers=gapped.author_numbers + np.int32(1))
    with pytest.raises(TokenFormatError, match="give the chain that was encoded"):
        to_pyg(numbered, tokens)


def test_what_is_no_graph_is_refused(gapped):
    with pytest.raises(ConfigError, match="neighbors must be at least 1"):
        to_pyg(gapped, neighbors=0)
    nothing = Backbone.from_arrays(np.full((3, 3, 3), np.nan), chain_id="B", source="gap.cif")
    with pytest.raises(StructureError, match=r"gap\.cif: chain B: no residue is resolved"):
        to_pyg(nothing)


def test_an_absent_package_is_named(gapped, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_geometric.data", None)
    with pytest.raises(MissingExtraError, match=r"provq\[interop\]"):
        to_pyg(gapped)
