"""How can one small map move all codes together?"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from provq_protein.errors import ConfigError
from provq_protein.quantize.codebook import AbstractCodebook

Seeding = Literal["auto", "solve", "identity", "literal"]

# Largest deviation of a seeded code from its centroid, relative to the largest centroid value.
_SEEDING_TOLERANCE = 1e-4


class LinearCodebook(AbstractCodebook):
    """
    A frozen random table under a trained linear map (AminoAseed, SimVQ).

    A gradient of one code changes the map, and with it every code: codes that no latent
    chooses are carried along.

    Parameters
    ----------
    size : int
        Number of codes.
    dim : int
        Dimension of a code.
    bias : bool
        Whether the map has a bias (AminoAseed has one, SimVQ has none).
    seeding : {"auto", "solve", "identity", "literal"}
        How `seed` makes the effective codes equal the centroids. ``"solve"`` keeps the random
        table and solves for the map of least norm, which needs ``size <= dim``. ``"identity"``
        replaces the table by the centroids and the map by the identity. ``"auto"`` is
        ``"solve"`` where that is possible and ``"identity"`` elsewhere. ``"literal"`` replaces
        the table but leaves the map random, so that the codes are *not* the centroids: what
        the reference implementation of ProVQ does, for comparisons.
    basis_std : float
        Standard deviation of the random table, above 0: 1 for AminoAseed, ``dim**-0.5`` for
        SimVQ.

    Raises
    ------
    ConfigError
        If `seeding` is unknown or cannot be done for these sizes.

    Notes
    -----
    The effective codes are :math:`E = C W^T + b` with a frozen table C (the buffer `basis`,
    which no optimizer knows, so that neither steps nor weight decay reach it).

    References
    ----------
    .. [1] Yuan et al., "Protein structure tokenization: benchmarking and new recipe"
       (AminoAseed), arXiv:2503.00089.
    .. [2] Zhu et al., "Addressing representation collapse in vector quantized models with one
       linear layer" (SimVQ), arXiv:2411.02038.

    Examples
    --------
    >>> book = LinearCodebook(2, 3)
    >>> book.seed(torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]))
    >>> book.nearest(torch.tensor([[0.9, 0.8, 0.9]]))
    tensor([1])
    >>> [name for name, _ in book.named_parameters()]
    ['linear.weight', 'linear.bias']
    """

    basis: Tensor

    def __init__(
        self,
        size: int,
        dim: int,
        *,
        bias: bool = True,
        seeding: Seeding = "auto",
        basis_std: float = 1.0,
    ) -> None:
        super().__init__(size, dim)
        if seeding not in get_args(Seeding):
            known = ", ".join(repr(name) for name in get_args(Seeding))
            msg = f"codebook: seeding must be one of {known}; got {seeding!r}"
            raise ConfigError(msg)
        if not 0.0 < basis_std < float("inf"):
            msg = f"codebook: basis_std must be above 0 and finite, got {basis_std}"
            raise ConfigError(msg)
        if seeding == "solve" and size > dim:
            msg = (
                f"codebook: seeding 'solve' needs size <= dim, got {size} codes of {dim} "
                "dimensions; use 'identity' or 'auto'"
            )
            raise ConfigError(msg)
        if seeding == "auto":
            seeding = "solve" if size <= dim else "identity"
        self.seeding = seeding
        self.register_buffer("basis", torch.empty(size, dim).normal_(std=basis_std))
        self.linear = nn.Linear(dim, dim, bias=bias)

    def codes(self) -> Tensor:
        """
        Return the effective codes.

        Returns
        -------
        Tensor, shape=(code, dim), dtype=float32
            The mapped table, computed in full precision also under autocast.
        """
        with torch.autocast(self.basis.device.type, enabled=False):
            return self.linear(self.basis)

    def raw_codes(self) -> Tensor:
        """
        Return the table under the map.

        Returns
        -------
        Tensor, shape=(code, dim), dtype=float32
            The buffer itself, not a copy.
        """
        return self.basis

    def _place(self, centroids: Tensor) -> None:
        if self.seeding == "solve":
            self._solve(centroids)
            return
        self.basis.copy_(centroids)
        if self.seeding == "identity":
            nn.init.eye_(self.linear.weight)
            if self.linear.bias is not None:
                nn.init.zeros_(self.linear.bias)

    def _solve(self, centroids: Tensor) -> None:
        targets = centroids.double()
        bias = torch.zeros_like(targets[0])
        if self.linear.bias is not None:
            bias = targets.mean(dim=0)
        basis = self.basis.double()
        # The pseudo-inverse gives the solution of least norm; size <= dim makes it exact.
        weight = (torch.linalg.pinv(basis) @ (targets - bias)).T
        reached = basis @ weight.float().double().T + bias.float().double()
        error = float((reached - targets).abs().max())
        if error > _SEEDING_TOLERANCE * max(1.0, float(targets.abs().max())):
            msg = (
                f"codebook: seeding 'solve' misses the centroids by {error:.2g}: the random table "
                "is nearly singular; use 'identity' or fewer codes than dimensions"
            )
            raise ValueError(msg)
        self.linear.weight.copy_(weight)
        if self.linear.bias is not None:
            self.linear.bias.copy_(bias)
