"""Where does a chain go on after a break, and which ids say so?"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from provq_protein.errors import ConfigError
from provq_protein.geometry.frames import rotation_from_axes
from provq_protein.quantize.kmeans import kmeans

# A turn counts as what it moves at this distance (Angstrom).
LEVER = 3.0

Steps = tuple[Tensor, Tensor]


class BreakCodes(nn.Module):
    """
    Codes for the rigid step across a chain break, where no bond says how the chain goes on.

    Parameters
    ----------
    count : int
        Number of codes.
    latent_dim : int
        Size of one latent.

    Notes
    -----
    Steps across breaks are clustered by themselves, because there are few of them and they are
    long: among all steps they would get hardly any code. What such a code leaves of the error,
    the codes after it make up for (`follow_chain`).
    """

    rotations: Tensor
    translations: Tensor
    vectors: Tensor
    fitted: Tensor

    def __init__(self, count: int, latent_dim: int) -> None:
        super().__init__()
        self.count = count
        self.register_buffer("rotations", torch.eye(3).repeat(count, 1, 1))
        self.register_buffer("translations", torch.zeros(count, 3))
        self.register_buffer("vectors", torch.zeros(count, latent_dim))
        self.register_buffer("fitted", torch.tensor(False))

    @property
    def steps(self) -> Steps:
        """Rotations, (code, 3, 3), and translations, (code, 3) in Angstrom."""
        return self.rotations, self.translations

    @torch.no_grad()
    def fit(self, steps: Steps, *, seed: int, iterations: int) -> None:
        """
        Place the codes: k-means of steps across breaks.

        Parameters
        ----------
        steps : tuple of Tensor, shapes=(break, 3, 3) and (break, 3), dtype=float32
            Rotations and translations (Angstrom).
        seed : int
            Decides the result.
        iterations : int
            Of k-means, at most.

        Raises
        ------
        ConfigError
            If there are fewer steps than codes.

        Notes
        -----
        The vectors of the codes are left as they are: only an encoder can say what they should be.
        """
        rotations, translations = steps
        if len(rotations) < self.count:
            msg = (
                f"model.encoder.break_codes is {self.count}, but the training chains give only "
                f"{len(rotations)} steps across breaks to place them by; lower it"
            )
            raise ConfigError(msg)
        generator = torch.Generator().manual_seed(seed)
        found = kmeans(
            as_points(rotations, translations).cpu(),
            self.count,
            generator=generator,
            iterations=iterations,
        )
        axes = found[:, :9].unflatten(1, (3, 3))
        self.rotations.copy_(rotation_from_axes(axes[..., 0], axes[..., 1]))
        self.translations.copy_(found[:, 9:])
        self.fitted.fill_(True)

    def applied(self, steps: Steps, leaps: Tensor, resolved: Tensor) -> Steps:
        """
        Put steps across breaks where codes say that there are some.

        Parameters
        ----------
        steps : tuple of Tensor, shapes=(batch, residue, 3, 3) and (batch, residue, 3)
            From each residue to the next one.
        leaps : Tensor, shape=(batch, residue), dtype=int64
            Which of these codes a residue has; -1 where it has none of them.
        resolved : Tensor, shape=(batch, residue), dtype=bool
            False where a residue is not there: it stays where the one before has led.

        Returns
        -------
        tuple of Tensor
            Rotations and translations, of the same shapes.
        """
        rotations, translations = steps
        leap, there = (leaps >= 0) & resolved, resolved[..., None]
        which = leaps.clamp(min=0)
        still = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
        rotations = torch.where(leap[..., None, None], self.rotations[which], rotations)
        translations = torch.where(leap[..., None], self.translations[which], translations)
        return (
            torch.where(there[..., None], rotations, still),
            torch.where(there, translations, 0.0),
        )


def as_points(rotations: Tensor, translations: Tensor) -> Tensor:
    """
    Return steps as points whose distances compare turns and shifts in Angstrom.

    Parameters
    ----------
    rotations : Tensor, shape=(..., 3, 3), dtype=float
        Turns.
    translations : Tensor, shape=(..., 3), dtype=float
        Shifts, in Angstrom.

    Returns
    -------
    Tensor, shape=(..., 12), dtype=float
        A turn counts as what it moves three Angstrom away.
    """
    return torch.cat([rotations.flatten(-2) * LEVER, translations], dim=-1)


def shortened(translations: Tensor, limit: float) -> Tensor:
    """
    Return long shifts at the logarithm of their length, so that no code's vector is huge.

    Parameters
    ----------
    translations : Tensor, shape=(..., 3), dtype=float
        Shifts.
    limit : float
        Shifts up to this length stay as they are.

    Returns
    -------
    Tensor, shape=(..., 3), dtype=float
        Same directions; the length grows with that of the shift.

    Examples
    --------
    >>> shortened(torch.tensor([[0.5, 0.0, 0.0], [0.0, 9.0, 0.0]]), 1.0).norm(dim=-1).tolist()
    [0.5, 3.1972246170043945]
    """
    length = torch.linalg.vector_norm(translations, dim=-1, keepdim=True)
    ratio = (length / limit).clamp(min=1.0)
    return functional.normalize(translations, dim=-1) * torch.where(
        ratio > 1.0, limit * (1.0 + ratio.log()), length
    )
