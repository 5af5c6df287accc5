"""What does a model keep of the tokens it has drawn so far?"""

from torch import Tensor


class LayerCache:
    """
    Keys and values of one attention layer at all positions so far.

    Parameters
    ----------
    capacity : int
        Positions of a full sequence.

    Notes
    -----
    Memory for all of them is taken with the first, in its precision and on its device.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.length = 0
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """
        Add positions, and return all.

        Parameters
        ----------
        keys : Tensor, shape=(batch, head, new, head_dim), dtype=float
            Keys of the next positions.
        values : Tensor, shape=(batch, head, new, head_dim), dtype=float
            Values of them.

        Returns
        -------
        keys : Tensor, shape=(batch, head, length, head_dim), dtype=float
            Of all positions so far; a view.
        values : Tensor, shape=(batch, head, length, head_dim), dtype=float
            Likewise.

        Raises
        ------
        ValueError
            If the cache is full, or began with another batch size.
        """
        batch, heads, new, width = keys.shape
        if self._keys is None or self._values is None:
            self._keys = keys.new_empty(batch, heads, self.capacity, width)
            self._values = keys.new_empty(batch, heads, self.capacity, width)
        stop = self.length + new
        if stop > self.capacity:
            msg = f"cache: {stop} positions do not fit into {self.capacity}; begin another cache"
            raise ValueError(msg)
        if batch != len(self._keys):
            msg = f"cache: began with {len(self._keys)} sequences, got {batch}"
            raise ValueError(msg)
        self._keys[:, :, self.length : stop] = keys
        self._values[:, :, self.length : stop] = values
        self.length = stop
        return self._keys[:, :, :stop], self._values[:, :, :stop]


class KeyValueCache:
    """
    Keys and values of all layers, so that a new token costs one position and not all of them.

    Parameters
    ----------
    layers : int
        Attention layers.
    capacity : int
        Positions of a full sequence.
    """

    def __init__(self, layers: int, capacity: int) -> None:
        self.layers = tuple(LayerCache(capacity) for _ in range(layers))

    @property
    def length(self) -> int:
        """Positions so far."""
        return self.layers[0].length
