"""What becomes of a code that no latent chooses?"""

import torch
from torch import Tensor, nn

from provq_protein.errors import ConfigError
from provq_protein.quantize.distributed import gathered


class IdleCodes(nn.Module):
    """
    Count the steps that each code has been idle, and give it a latent to move to in the end.

    Parameters
    ----------
    size : int
        Number of codes.
    revive_after : int
        Consecutive steps without a latent after which a code is moved, 1 or more.

    Raises
    ------
    ConfigError
        If `revive_after` is below 1.

    Notes
    -----
    A code that has strayed from all latents gets no gradient and stays where it is. Moving it to
    a latent of the current batch is the "random restart" of Jukebox [1]_. The counts are part of
    the state dict. All processes of a training see the batch of all, so that they stay equal.

    References
    ----------
    .. [1] Dhariwal et al., "Jukebox: a generative model for music", arXiv:2005.00341, section 3.

    Examples
    --------
    >>> idle = IdleCodes(3, 2)
    >>> latents, indices = torch.tensor([[5.0], [6.0]]), torch.tensor([0, 0])
    >>> for _ in range(2):
    ...     revived, places = idle.replacements(
    ...         latents, indices, generator=torch.Generator().manual_seed(0)
    ...     )
    >>> revived
    tensor([False,  True,  True])
    >>> places.sort(dim=0).values
    tensor([[5.],
            [6.]])
    """

    steps: Tensor

    def __init__(self, size: int, revive_after: int) -> None:
        super().__init__()
        if revive_after < 1:
            msg = f"codebook: revive_after must be 1 or more, got {revive_after}"
            raise ConfigError(msg)
        self.size = size
        self.revive_after = revive_after
        self.register_buffer("steps", torch.zeros(size, dtype=torch.int64))

    def reset(self) -> None:
        """Forget all idle steps: the codes are new."""
        self.steps.zero_()

    @torch.no_grad()
    def replacements(
        self, latents: Tensor, indices: Tensor, *, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """
        Count one step and return which codes are to move, and where to.

        Parameters
        ----------
        latents : Tensor, shape=(latent, dim), dtype=float32
            The valid latents of the batch in this process.
        indices : Tensor, shape=(latent,), dtype=int64
            Their codes.
        generator : torch.Generator, optional
            Draws the latents; required where a code moves. The same in every process.

        Returns
        -------
        revived : Tensor, shape=(code,), dtype=bool
            True where a code is to move: at most as many as there are latents, those first that
            have been idle longest.
        places : Tensor, shape=(revived, dim), dtype=float32
            Different latents of the batch of all processes.

        Raises
        ------
        ValueError
            If a code is to move and there is no generator.
        """
        every, chosen = gathered(latents), gathered(indices)
        counts = torch.bincount(chosen, minlength=self.size)
        steps = torch.where(counts > 0, 0, self.steps + 1)
        # Stable, so that ties are settled the same way everywhere.
        order = torch.sort(steps, descending=True, stable=True).indices
        due = int((steps >= self.revive_after).sum())
        moving = order[: min(due, every.shape[0])]
        if moving.numel() and generator is None:
            msg = "codebook: reviving idle codes needs a generator"
            raise ValueError(msg)
        steps[moving] = 0
        self.steps.copy_(steps)
        revived = torch.zeros_like(steps, dtype=torch.bool)
        revived[moving] = True
        if generator is None or not moving.numel():
            return revived, every[:0]
        drawn = torch.randperm(every.shape[0], generator=generator, device=generator.device)
        return revived, every[drawn[: moving.numel()].to(every.device)]
