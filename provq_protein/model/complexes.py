"""How is a chain encoded in sight of the other chains of its complex?"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from provq_protein.errors import ConfigError
from provq_protein.geometry.neighbors import nearest_residues
from provq_protein.precision import Precision
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.policies import CONTRACT, ResiduePolicy
from provq_protein.tokens.inputs import ComplexInput, OnProblem, per_complex
from provq_protein.tokens.of_chain import centered
from provq_protein.tokens.sequence import TokenSequence

if TYPE_CHECKING:
    from provq_protein.model.autoencoder import StructureAutoencoder

# Residues around a chain beyond those that its neighborhoods need. Which is the last one of a
# neighborhood is decided anew when the chain is encoded, and rounding may decide it otherwise.
_SPARE = 2


@dataclass(frozen=True, eq=False)
class ChainInComplex:
    """
    A chain, and the residues of other chains that its neighborhoods reach.

    Parameters
    ----------
    coords : ndarray, shape=(residue, 3, 3), dtype=float32
        N, CA and C of the chain, in Angstrom from its mean CA. If residues of other chains are
        near, one unresolved entry and these residues follow.
    resolved : ndarray, shape=(residue,), dtype=bool
        True where all three atoms exist.
    numbers : ndarray, shape=(residue,), dtype=int64
        Author numbers; those of other chains are farther away than the encoder tells apart.
    length : int
        How many of these are residues of the chain.
    """

    coords: NDArray[np.float32]
    resolved: NDArray[np.bool_]
    numbers: NDArray[np.int64]
    length: int


def chains_in_complex(
    chains: Sequence[Backbone], *, neighbors: int, max_offset: int
) -> list[ChainInComplex]:
    """
    Return what an encoder of nearest residues has to be given of a complex, chain by chain.

    Parameters
    ----------
    chains : sequence of Backbone
        All chains, each with at least one resolved residue, in common coordinates.
    neighbors : int
        Residues in a neighborhood, the residue itself included.
    max_offset : int
        Offsets between residue numbers are clamped to this many residues.

    Returns
    -------
    list of ChainInComplex
        One per chain. A chain whose neighborhoods hold none but its own residues is returned as
        it is encoded alone.

    Notes
    -----
    The latent of a residue depends on its nearest residues alone. So instead of all chains at
    once, which would mix their numbers, each chain is given with those residues of the others
    that are among the nearest of one of its own: the same neighborhoods, at the cost of the
    interface. Memory grows with the number of residues (`nearest_residues`).

    An offset within a chain says how far apart two residues are along it. Between chains it is
    ``+max_offset`` on both sides, which stands for "far along the chain" in a trained model:
    by the order of the chains it would depend on the file. The unresolved entry in between keeps
    the end of a chain from being taken for bonded to another chain whose start is next to it.
    """
    owner = np.repeat(np.arange(len(chains)), [int(chain.resolved.sum()) for chain in chains])
    index = _nearest(chains, neighbors + _SPARE)
    return [
        _surrounded(chain, chains, _seen(place, owner, index, neighbors), max_offset)
        for place, chain in enumerate(chains)
    ]


def _nearest(chains: Sequence[Backbone], count: int) -> NDArray[np.int64]:
    """Positions among all resolved residues: (residue, neighbor), nearest first."""
    alpha = np.concatenate([chain.coords[chain.resolved, 1] for chain in chains]).astype(np.float64)
    points = torch.from_numpy((alpha - alpha.mean(axis=0)).astype(np.float32))[None]
    everywhere = torch.ones(points.shape[:2], dtype=torch.bool)
    return nearest_residues(points, everywhere, everywhere, count)[0][0].numpy()


def _seen(
    place: int, owner: NDArray[np.int64], index: NDArray[np.int64], neighbors: int
) -> NDArray[np.int64]:
    """Which residues of other chains are nearest to some residue of a chain."""
    around = index[owner == place]
    if (owner[around[:, :neighbors]] == place).all():
        return np.zeros(0, dtype=np.int64)
    found = np.unique(around)
    return found[owner[found] != place]


def _surrounded(
    chain: Backbone, chains: Sequence[Backbone], others: NDArray[np.int64], max_offset: int
) -> ChainInComplex:
    own = chain.author_numbers.astype(np.int64)
    if not len(others):
        return ChainInComplex(centered(chain), chain.resolved, own, len(chain))
    coords = np.concatenate([one.coords[one.resolved] for one in chains])[others]
    # From the same point as the chain's own, so that those are what they are alone.
    center = chain.coords[chain.resolved, 1].astype(np.float64).mean(axis=0)
    near = (coords.astype(np.float64) - center).astype(np.float32)
    far = int(own.max()) + max_offset + 1
    return ChainInComplex(
        coords=np.concatenate([centered(chain), np.zeros((1, 3, 3), np.float32), near]),
        resolved=np.concatenate([chain.resolved, [False], np.ones(len(near), np.bool_)]),
        numbers=np.concatenate([own, np.full(1 + len(near), far)]),
        length=len(chain),
    )


class ComplexTokens:
    """What a tokenizer computes of chains that see each other."""

    model: "StructureAutoencoder"
    precision: Precision

    def _sequence(
        self, chain: Backbone, ids: NDArray[np.int64], *, context: str = "chain"
    ) -> TokenSequence:
        """Return ids with everything that is known of a chain."""
        raise NotImplementedError

    def encode_complex(
        self,
        inputs: Iterable[ComplexInput],
        *,
        chains: Sequence[str] | None = None,
        on_problem: OnProblem | None = None,
        policy: ResiduePolicy = CONTRACT,
    ) -> list[list[TokenSequence]]:
        """
        Return the tokens of every chain of complexes, whose chains see each other.

        Parameters
        ----------
        inputs : iterable of str, Path or sequence of Backbone
            Structure files, or the chains of a complex. Each model of a file is a complex; an
            assembly is one if the policy names it.
        chains : sequence of str, optional
            Chain ids to encode; by default all, or those of the policy. The others are seen all
            the same: which chains are asked for changes no id.
        on_problem : callable, optional
            As in `encode`. A chain that cannot be encoded is seen by no other one.
        policy : ResiduePolicy
            As in `encode`. What it says of residues holds for every chain of a file.

        Returns
        -------
        list of list of TokenSequence
            One list for each complex of which a chain could be encoded, in the order of inputs
            and models; its chains in the order of the file. `TokenSequence.context` is
            ``"complex"``, also for a chain that is alone.

        Raises
        ------
        StructureError
            If an input cannot be encoded and `on_problem` is None.
        ConfigError
            If `chains` contradicts the policy, or the tokenizer has fast precision.

        Notes
        -----
        A neighborhood holds the residues with the nearest CA, whatever their chains; from a
        residue of another chain, one is as far along the chain as the model can tell. Ids are
        then chosen chain by chain, as in `encode`: a chain that no other one is near has the same
        ids. The shipped model was trained on single chains, so at interfaces it sees what it has
        never seen (``docs/complexes.md``).
        """
        return list(
            self.iter_encode_complex(inputs, chains=chains, on_problem=on_problem, policy=policy)
        )

    def iter_encode_complex(
        self,
        inputs: Iterable[ComplexInput],
        *,
        chains: Sequence[str] | None = None,
        on_problem: OnProblem | None = None,
        policy: ResiduePolicy = CONTRACT,
    ) -> Iterator[list[TokenSequence]]:
        """
        Yield the tokens of one complex after another, as soon as they are known.

        Parameters
        ----------
        inputs : iterable of str, Path or sequence of Backbone
            As in `encode_complex`; may be without end.
        chains : sequence of str, optional
            As in `encode_complex`.
        on_problem : callable, optional
            As in `encode_complex`.
        policy : ResiduePolicy
            As in `encode_complex`.

        Returns
        -------
        iterator of list of TokenSequence
            As from `encode_complex`.

        Raises
        ------
        StructureError
            If an input cannot be encoded and `on_problem` is None.
        ConfigError
            If `chains` contradicts the policy, or the tokenizer has fast precision.
        """
        if self.precision != "exact":
            msg = (
                f"precision={self.precision!r}: complexes are encoded exactly; load the tokenizer "
                "with precision='exact'"
            )
            raise ConfigError(msg)

        def together(found: Sequence[Backbone]) -> Callable[[int], TokenSequence]:
            inside = _in_complex(self.model, found)

            def tokens(place: int) -> TokenSequence:
                ids = _ids(self.model, inside[place])
                return self._sequence(found[place], ids, context="complex")

            return tokens

        return per_complex(together, inputs, chains=chains, on_problem=on_problem, policy=policy)

    def embed_complex(
        self,
        inputs: Iterable[ComplexInput],
        *,
        chains: Sequence[str] | None = None,
        on_problem: OnProblem | None = None,
        policy: ResiduePolicy = CONTRACT,
    ) -> list[list[NDArray[np.float32]]]:
        """
        Return the latents of every chain of complexes, before quantization.

        Parameters
        ----------
        inputs : iterable of str, Path or sequence of Backbone
            As in `encode_complex`.
        chains : sequence of str, optional
            As in `encode_complex`.
        on_problem : callable, optional
            As in `encode_complex`.
        policy : ResiduePolicy
            As in `encode_complex`.

        Returns
        -------
        list of list of ndarray, shape=(residue, dim), dtype=float32
            In the order of `encode_complex`; *NaN* at unresolved residues.

        Raises
        ------
        StructureError
            If an input cannot be encoded and `on_problem` is None.
        ConfigError
            If `chains` contradicts the policy.
        """

        def together(found: Sequence[Backbone]) -> Callable[[int], NDArray[np.float32]]:
            inside = _in_complex(self.model, found)

            def latents(place: int) -> NDArray[np.float32]:
                with torch.inference_mode():
                    own = _latents(self.model, inside[place])[0][0].float().cpu().numpy()
                return np.where(found[place].resolved[:, None], own, np.float32(np.nan))

            return latents

        return list(
            per_complex(together, inputs, chains=chains, on_problem=on_problem, policy=policy)
        )


def _in_complex(model: "StructureAutoencoder", chains: Sequence[Backbone]) -> list[ChainInComplex]:
    # All encoders have these: a latent depends on a residue's nearest ones, and nothing else.
    config = model.config.encoder
    return chains_in_complex(chains, neighbors=config.neighbors, max_offset=config.max_offset)


def _ids(model: "StructureAutoencoder", inside: ChainInComplex) -> NDArray[np.int64]:
    with torch.inference_mode():
        latents, coords, resolved = _latents(model, inside)
        # The chain by itself: codes follow its course, and nothing follows its last residue.
        return model.assign(latents, coords, resolved)[0].cpu().numpy()


def _latents(
    model: "StructureAutoencoder", inside: ChainInComplex
) -> tuple[Tensor, Tensor, Tensor]:
    """Latents, coordinates and mask of the chain, as a batch of one."""
    device = next(model.parameters()).device
    # Copied, since the arrays of a frozen type are not torch's to write to.
    coords, resolved, numbers = (
        torch.from_numpy(np.array(part)).to(device)[None]
        for part in (inside.coords, inside.resolved, inside.numbers)
    )
    latents = model.embed(coords, resolved, numbers, torch.ones_like(resolved))
    own = slice(inside.length)
    return latents[:, own], coords[:, own], resolved[:, own]
