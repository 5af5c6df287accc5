"""How is a trained geometric encoder evaluated with the least work that gives its latents?"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from provq_protein.model.geometric_attention import GeometricAttention
from provq_protein.model.packed_attention import (
    AttentionTables,
    Frames,
    attend,
    attention_tables,
    heads_last,
)

if TYPE_CHECKING:
    from provq_protein.model.geometric_encoder import GeometricEncoder

# Rows of a weight matrix that are multiplied in double precision at once: bounds memory.
_ROWS_PER_PRODUCT = 1024


class Neighborhoods(NamedTuple):
    """
    What residues see, one row per residue: its nearest residues, itself first.

    Parameters
    ----------
    row : Tensor, shape=(set, neighbor), dtype=int64
        Which offset vector a neighbor has.
    rotations : Tensor, shape=(set, neighbor, 3, 3), dtype=float
        Orientations of the neighbors' backbones, columns are axes.
    translations : Tensor, shape=(set, neighbor, 3), dtype=float
        Their CA positions, in Angstrom.
    valid : Tensor, shape=(set, neighbor), dtype=bool
        False where there is no such neighbor.
    """

    row: Tensor
    rotations: Tensor
    translations: Tensor
    valid: Tensor

    def some(self, which: Tensor) -> "Neighborhoods":
        """
        Return some of the neighborhoods.

        Parameters
        ----------
        which : Tensor, shape=(set,) or (chosen,), dtype=bool or int64
            A mask, or positions.

        Returns
        -------
        Neighborhoods
            Copies of those.
        """
        return Neighborhoods(*(part[which] for part in self))


@dataclass(frozen=True, slots=True)
class _Table:
    """A map of the distinct inputs of the first block, with what follows its attention."""

    query: Tensor  # (entry, 6 * heads)
    key_value: Tensor  # (entry, 9 * heads)
    features: Tensor  # (entry, width): with the bias of the attention's output
    # The linear layer after the norm, in terms of the attended vectors: what each entry gives,
    # then, in a last row, what is added after the scaling.
    expanded: Tensor  # (entry + 1, 2 * hidden)
    mixing: Tensor  # (3 * heads, 2 * hidden)


@dataclass(frozen=True, slots=True)
class _Layers:
    """Weights of one block, transposed and in the order in which they are used."""

    attention: AttentionTables
    output: Tensor  # (3 * heads, width)
    norm: nn.LayerNorm
    feed_forward_norm: nn.LayerNorm
    expand: Tensor  # (width, 2 * hidden)
    expand_bias: Tensor
    contract: Tensor  # (hidden, width); of the last block (hidden, latent_dim)
    contract_bias: Tensor
    output_bias: Tensor


class PackedEncoder:
    """
    The weights of a `GeometricEncoder`, rearranged so that latents take fewer operations.

    Parameters
    ----------
    encoder : GeometricEncoder
        Where the weights come from. Their values are copied or referred to as they are now;
        make a new one when they change.
    products : torch.dtype, optional
        Round the operands of matrix products to this, for instance ``torch.bfloat16``. What is
        added up from block to block, norms and attention stay as precise as the weights.

    Notes
    -----
    Three products of matrices are taken once per model instead of once per residue, in double
    precision. The input of the first block's feed-forward layer is :math:`x = e_o + A a`, with
    one of the 65 offset vectors :math:`e_o`, the attended vectors :math:`a` (384 of them in
    ESM3) and the output layer :math:`A` of the attention. With :math:`P` the projection that
    removes a mean, :math:`g` and :math:`b` gain and bias of the norm, the feed-forward layer
    sees

    .. math::

        W \\left(g \\frac{P x}{\\sigma(x)} + b\\right)
        = \\frac{(W g P) e_o + (W g P A) a}{\\sigma(x)} + W b,

    a table and a product with 384 columns instead of 1,024. The layer that ends the last block
    and the one that makes latents are both linear, and nothing is between them: their product
    is one matrix. Together with the table of the first projection and the single query of the
    last block a residue takes 306 million operations at ESM3's size, where evaluating
    everything takes 959.
    """

    def __init__(self, encoder: "GeometricEncoder", *, products: torch.dtype | None = None) -> None:
        self._products = products or encoder.output.weight.dtype
        with torch.no_grad():
            self._table = _table(encoder, self._products)
            layers = [_layers(block) for block in encoder.blocks]
            layers[-1] = _with_output(layers[-1], encoder.output)
            self._layers = [_rounded(one, self._products) for one in layers]
            self._latents = encoder.output.weight.T.contiguous()

    def latents(self, row: Tensor, frames: Frames) -> Tensor:
        """
        Return the latents of some neighborhoods.

        Parameters
        ----------
        row : Tensor, shape=(set, frame), dtype=int64
            Which offset vector each frame has.
        frames : tuple of Tensor, shapes=(set, frame, 3, 3), (set, frame, 3) and (set, frame)
            Rotations, translations (Angstrom) and which frames are there, in the first frame
            of each set.

        Returns
        -------
        Tensor, shape=(set, latent_dim), dtype=float
            One latent per set.
        """
        if not len(row):
            return self._latents.new_empty(0, self._latents.shape[1])
        single = len(self._layers) == 1
        features = self._first(row, frames, queries=1 if single else row.shape[1])
        for number, layers in enumerate(self._layers[1:], start=2):
            queries = 1 if number == len(self._layers) else row.shape[1]
            features = self._later(features, layers, frames, queries)
        return features[:, 0]

    def _first(self, row: Tensor, frames: Frames, *, queries: int) -> Tensor:
        table, layers = self._table, self._layers[0]
        seen = row[:, :queries]
        attended = attend(
            functional.embedding(seen, table.query),
            functional.embedding(row, table.key_value),
            frames,
            layers.attention.distance_scale,
        )
        seen = seen.reshape(-1)
        features = table.features.index_select(0, seen)
        self._add_product(features, attended, layers.output)
        norm = layers.feed_forward_norm
        scale = torch.native_layer_norm(features, norm.normalized_shape, None, None, norm.eps)[2]
        scale = scale.flatten()
        # One pass over the memory: the entry scaled, and the row that is added after scaling.
        rows = torch.stack([seen, torch.full_like(seen, len(table.expanded) - 1)], dim=1)
        hidden = functional.embedding_bag(
            rows,
            table.expanded,
            mode="sum",
            per_sample_weights=torch.stack([scale, torch.ones_like(scale)], dim=1),
        )
        self._add_product(hidden, attended * scale[:, None], table.mixing)
        return self._contracted(features, hidden, layers).unflatten(0, (-1, queries))

    def _later(self, features: Tensor, layers: _Layers, frames: Frames, queries: int) -> Tensor:
        normed = layers.norm(features)
        # One matrix: of a part of each set PyTorch would make as many products as there are sets,
        # each with its own copy of the weight.
        asked = normed[:, :queries].flatten(0, 1)
        tables = layers.attention
        attended = attend(
            self._linear(asked, tables.query.T, tables.query_bias).unflatten(0, (-1, queries)),
            self._linear(normed, tables.key_value.T, tables.key_value_bias),
            frames,
            tables.distance_scale,
        )
        features = features[:, :queries].flatten(0, 1) + layers.output_bias
        self._add_product(features, attended, layers.output)
        hidden = self._linear(layers.feed_forward_norm(features), layers.expand, layers.expand_bias)
        return self._contracted(features, hidden, layers).unflatten(0, (-1, queries))

    def _contracted(self, features: Tensor, hidden: Tensor, layers: _Layers) -> Tensor:
        """Gate the hidden vectors and add what they make to the features, or to the latents."""
        gate, value = hidden.chunk(2, dim=-1)
        gated = functional.silu(gate, inplace=True).mul_(value)
        if layers is self._layers[-1]:
            features = features @ self._latents
        features += layers.contract_bias
        return self._add_product(features, gated, layers.contract)

    def _add_product(self, total: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """Add a matrix product to a total, in place."""
        if self._products == total.dtype:
            return total.addmm_(left, right)
        return total.add_(left.to(self._products) @ right)

    def _linear(self, rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Multiply rows (..., in) with a weight (in, out) and add a bias."""
        if self._products == bias.dtype:
            return functional.linear(rows, weight.T, bias)
        return functional.linear(rows.to(self._products), weight.T).to(bias.dtype).add_(bias)


def _parts(
    block: nn.Module,
) -> tuple[GeometricAttention, nn.LayerNorm, nn.Linear, nn.Linear]:
    """Return the attention of a block, and norm, first and last layer of its feed-forward part."""
    feed_forward = cast(nn.Module, block.feed_forward)
    return (
        cast(GeometricAttention, block.attention),
        cast(nn.LayerNorm, feed_forward.norm),
        cast(nn.Linear, feed_forward.gate_value),
        cast(nn.Linear, feed_forward.output),
    )


def _layers(block: nn.Module) -> _Layers:
    """Rearrange the weights of one block."""
    attention, norm, expand, contract = _parts(block)
    return _Layers(
        attention=attention_tables(attention),
        output=heads_last(attention.output.weight, attention.vector_heads).T.contiguous(),
        output_bias=attention.output.bias,
        norm=attention.norm,
        feed_forward_norm=norm,
        expand=expand.weight.T,
        expand_bias=expand.bias,
        contract=contract.weight.T,
        contract_bias=contract.bias,
    )


def _with_output(layers: _Layers, output: nn.Linear) -> _Layers:
    """Let the last layer of the last block, which is linear, make latents at once."""
    weight, dtype = output.weight.double(), output.weight.dtype
    bias = weight @ layers.contract_bias.double() + output.bias.double()
    return replace(
        layers,
        contract=(layers.contract.double() @ weight.T).to(dtype),
        contract_bias=bias.to(dtype),
    )


def _rounded(layers: _Layers, dtype: torch.dtype) -> _Layers:
    """Round the matrices of a block, and nothing else."""
    attention = layers.attention
    return replace(
        layers,
        attention=replace(
            attention, query=attention.query.to(dtype), key_value=attention.key_value.to(dtype)
        ),
        output=layers.output.to(dtype),
        expand=layers.expand.to(dtype),
        contract=layers.contract.to(dtype),
    )


def _table(encoder: "GeometricEncoder", products: torch.dtype) -> _Table:
    """Precompute what the first block does to each offset vector."""
    attention, norm, linear, _ = _parts(encoder.blocks[0])
    tables = attention_tables(attention)
    normed = attention.norm(encoder.offsets.weight)
    features = encoder.offsets.weight + attention.output.bias
    output = heads_last(attention.output.weight, attention.vector_heads)
    left = torch.cat([features, output.T]).double()
    parts, after = [], []
    for weight, bias in zip(
        linear.weight.split(_ROWS_PER_PRODUCT), linear.bias.split(_ROWS_PER_PRODUCT), strict=True
    ):
        after.append(weight.double() @ norm.bias.double() + bias.double())
        # (W g P): the gain of the norm, and the removal of the mean, in the weight.
        weight = weight.double() * norm.weight.double()
        parts.append(left @ (weight - weight.mean(dim=1, keepdim=True)).T)
    combined = torch.cat(parts, dim=1)
    expanded = torch.cat([combined[: len(features)], torch.cat(after)[None]])
    dtype = features.dtype
    return _Table(
        query=functional.linear(normed, tables.query, tables.query_bias),
        key_value=functional.linear(normed, tables.key_value, tables.key_value_bias),
        features=features,
        expanded=expanded.to(dtype),
        mixing=combined[len(features) :].to(products),
    )
