"""What are the blocks of the autoregressive model made of?"""

from torch import Tensor, nn
from torch.nn import functional

from provq_vision.generation.cache import LayerCache
from provq_vision.generation.config import GptConfig
from provq_vision.generation.rotary import Turns, turn

# Names of parameters follow those of LlamaGen's released weights throughout.


class Attention(nn.Module):
    """
    Attention of each position to itself and those before it.

    Parameters
    ----------
    config : GptConfig
        Sizes.
    """

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.wqkv = nn.Linear(config.dim, 3 * config.dim, bias=False)
        self.wo = nn.Linear(config.dim, config.dim, bias=False)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, features: Tensor, turns: Turns, cache: LayerCache | None = None) -> Tensor:
        """
        Apply the layer.

        Parameters
        ----------
        features : Tensor, shape=(batch, position, dim), dtype=float
            Of a whole sequence, or with a cache of its next position.
        turns : Turns
            Of these positions.
        cache : LayerCache, optional
            Earlier positions; the new one is added.

        Returns
        -------
        Tensor, shape=(batch, position, dim), dtype=float
            Features.
        """
        # (batch, position, 3 * dim) -> three of (batch, head, position, head_dim).
        parts = self.wqkv(features).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        queries, keys, values = turn(parts[0], turns), turn(parts[1], turns), parts[2]
        if cache is not None:
            # One new position may see all others, so that no mask is needed.
            keys, values = cache.append(keys, values)
        mixed = functional.scaled_dot_product_attention(
            queries, keys, values, is_causal=cache is None
        )
        return self.dropout(self.wo(mixed.transpose(1, 2).flatten(2)))


class FeedForward(nn.Module):
    """
    A gated feed-forward layer (SwiGLU).

    Parameters
    ----------
    config : GptConfig
        Sizes.
    """

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        self.w1 = nn.Linear(config.dim, config.hidden, bias=False)
        self.w3 = nn.Linear(config.dim, config.hidden, bias=False)
        self.w2 = nn.Linear(config.hidden, config.dim, bias=False)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, features: Tensor) -> Tensor:
        """
        Apply the layer.

        Parameters
        ----------
        features : Tensor, shape=(batch, position, dim), dtype=float
            Features.

        Returns
        -------
        Tensor, shape=(batch, position, dim), dtype=float
            Features.
        """
        return self.dropout(self.w2(functional.silu(self.w1(features)) * self.w3(features)))


class Block(nn.Module):
    """
    Attention and a feed-forward layer, each after a normalization and beside a shortcut.

    Parameters
    ----------
    config : GptConfig
        Sizes.
    """

    def __init__(self, config: GptConfig) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.dim, eps=config.norm_epsilon)
        self.attention = Attention(config)
        self.ffn_norm = nn.RMSNorm(config.dim, eps=config.norm_epsilon)
        self.feed_forward = FeedForward(config)

    def forward(self, features: Tensor, turns: Turns, cache: LayerCache | None = None) -> Tensor:
        """
        Apply the block.

        Parameters
        ----------
        features : Tensor, shape=(batch, position, dim), dtype=float
            Of a whole sequence, or with a cache of its next position.
        turns : Turns
            Of these positions.
        cache : LayerCache, optional
            Earlier positions; the new one is added.

        Returns
        -------
        Tensor, shape=(batch, position, dim), dtype=float
            Features.
        """
        features = features + self.attention(self.attention_norm(features), turns, cache)
        return features + self.feed_forward(self.ffn_norm(features))
