"""Which operations take what a residue sees to its latent?"""

import math

import numpy as np
from numpy.typing import NDArray

from provq_protein.onnx_runtime.model_folder import EncoderSettings, Tensors
from provq_protein.onnx_runtime.onnx_graph import OnnxGraph

# Of `torch.nn.LayerNorm`.
_EPSILON = 1e-5


def encoder_network(settings: EncoderSettings, tensors: Tensors) -> bytes:
    """
    Write the network of an encoder.

    Parameters
    ----------
    settings : EncoderSettings
        Of the model.
    tensors : mapping of str to ndarray
        Its weights.

    Returns
    -------
    bytes
        An ONNX model from ``surroundings``, float32 (residue, neighbor, feature), ``offsets``,
        int64 (residue, neighbor), and, for an encoder of kind "chain", ``along_chain``, float32
        (residue, feature), to ``latents``, float32 (residue, latent_dim).

    Notes
    -----
    The same computation as ``NeighborhoodEncoder`` and ``ChainEncoder`` of this package from
    their features on, for residues whose neighbors all are resolved ones: no mask is needed.
    """
    layers = _Layers("encoder", tensors)
    graph = layers.graph
    given = graph.input(
        "surroundings", np.float32, ("residue", "neighbor", layers.inputs("features"))
    )
    offsets = graph.input("offsets", np.int64, ("residue", "neighbor"))
    placed = graph.apply("Gather", layers.weight("offsets.weight"), offsets, axis=0)
    hidden = graph.apply("Add", layers.linear("features", given), placed)
    hidden = layers.block("exchange", hidden, settings.heads, first_only=False)
    query = layers.block("read_out", hidden, settings.heads, first_only=True)
    axis = graph.constant("axis", np.array([1], dtype=np.int64))
    query = graph.apply("Squeeze", query, axis)
    if settings.follows_chain:
        width = layers.inputs("along_chain.0")
        along = graph.input("along_chain", np.float32, ("residue", width))
        read = layers.linear("along_chain.0", along)
        query = graph.apply("Add", query, layers.linear("along_chain.2", layers.gelu(read)))
        latents = layers.linear("to_latent", layers.norm("norm", query))
        bounds = [0, layers.inputs("course"), 1]
        start, stop, axis = (
            graph.constant(f"bound_{one}", np.array([one], dtype=np.int64)) for one in bounds
        )
        to_next = graph.apply("Slice", along, start, stop, axis)
        latents = graph.apply("Add", layers.linear("course", to_next), latents)
    else:
        latents = layers.linear("to_latent", layers.norm("norm", query))
    ones = graph.constant("ones", np.ones(settings.latent_dim, dtype=np.float32))
    latents = graph.apply("LayerNormalization", latents, ones, axis=-1, epsilon=_EPSILON)
    graph.output(latents, "latents", np.float32, ("residue", settings.latent_dim))
    return graph.to_bytes()


class _Layers:
    """The layers that torch's modules stand for, in a graph that takes their weights along."""

    def __init__(self, name: str, tensors: Tensors) -> None:
        self.graph = OnnxGraph(name)
        self._prefix, self._tensors = name, tensors

    def tensor(self, name: str) -> NDArray[np.float32]:
        return self._tensors[f"{self._prefix}.{name}"]

    def weight(self, name: str) -> str:
        return self.graph.constant(name, self.tensor(name))

    def inputs(self, name: str) -> int:
        return self.tensor(f"{name}.weight").shape[1]

    def linear(self, name: str, values: str) -> str:
        kernel = self.graph.constant(f"{name}.kernel", self.tensor(f"{name}.weight").T)
        product = self.graph.apply("MatMul", values, kernel)
        if f"{self._prefix}.{name}.bias" not in self._tensors:
            return product
        return self.graph.apply("Add", product, self.weight(f"{name}.bias"))

    def norm(self, name: str, values: str) -> str:
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.graph.apply(
            "LayerNormalization", values, scale, bias, axis=-1, epsilon=_EPSILON
        )

    def gelu(self, values: str) -> str:
        return self.graph.apply("Gelu", values)

    def block(self, name: str, neighbors: str, heads: int, *, first_only: bool) -> str:
        """Attention among neighbors, or from the first one to all, then a feed-forward layer."""
        normed = self.norm(f"{name}.norm_attention", neighbors)
        query, asked = neighbors, normed
        if first_only:
            first = self.graph.constant("first", np.array([0], dtype=np.int64))
            query = self.graph.apply("Gather", neighbors, first, axis=1)
            asked = self.graph.apply("Gather", normed, first, axis=1)
        attended = self._attention(name, asked, normed, heads)
        query = self.graph.apply("Add", query, self.linear(f"{name}.output", attended))
        wide = self.linear(f"{name}.expand", self.norm(f"{name}.norm_ffn", query))
        return self.graph.apply("Add", query, self.linear(f"{name}.contract", self.gelu(wide)))

    def _attention(self, name: str, asked: str, normed: str, heads: int) -> str:
        graph = self.graph
        width = self.inputs(f"{name}.query")
        split = graph.constant("split", np.array([0, 0, heads, width // heads], dtype=np.int64))
        joined = graph.constant("joined", np.array([0, 0, width], dtype=np.int64))
        halves = graph.constant("halves", np.array([width, width], dtype=np.int64))
        key, value = f"{name}.key", f"{name}.value"
        graph.split(self.linear(f"{name}.key_value", normed), halves, (key, value), axis=2)
        query = graph.apply("Reshape", self.linear(f"{name}.query", asked), split)
        query = graph.apply("Transpose", query, perm=(0, 2, 1, 3))
        key = graph.apply("Transpose", graph.apply("Reshape", key, split), perm=(0, 2, 3, 1))
        value = graph.apply("Transpose", graph.apply("Reshape", value, split), perm=(0, 2, 1, 3))
        scale = np.array(1.0 / math.sqrt(width // heads), dtype=np.float32)
        query = graph.apply("Mul", query, graph.constant("scale", scale))
        weights = graph.apply("Softmax", graph.apply("MatMul", query, key), axis=-1)
        attended = graph.apply(
            "Transpose", graph.apply("MatMul", weights, value), perm=(0, 2, 1, 3)
        )
        return graph.apply("Reshape", attended, joined)
