"""How can most residues be encoded in low precision without changing a single id?"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from provq_protein.errors import ConfigError
from provq_protein.model.geometric_encoder import GeometricEncoder
from provq_protein.model.packed_encoder import Neighborhoods, PackedEncoder
from provq_protein.quantize.nearest import nearest_codes

# Codes near a latent that could take it over: the nearest one and its rivals.
_CANDIDATES = 8
# Latents whose distances to all codes are held at once: bounds memory.
_LATENTS_PER_PASS = 1024
# The threshold over the largest deviation that calibration has seen.
_MARGIN = 1.1

Batch = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class FastCalibration:
    """
    How far low precision moves latents towards other codes, for one model.

    Parameters
    ----------
    products : str
        Name of the precision of matrix products, for instance ``"bfloat16"``.
    threshold : float
        A residue is encoded again where its latent is closer than this to being another code.
    largest_deviation : float
        The largest movement seen along the line between two codes.
    residues : int
        How many residues were looked at.
    """

    products: str
    threshold: float
    largest_deviation: float
    residues: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FastReport:
    """
    What a fast encoding did, to be kept beside its ids.

    Parameters
    ----------
    products : str
        Precision of the matrix products of the first pass.
    threshold : float
        From the calibration.
    residues : int
        Encoded residues.
    rechecked : int
        Residues encoded again in full precision, for being close to another code.
    audited : int
        Residues encoded again in full precision though they were not close.
    mismatches : int
        Audited residues whose id was wrong; they got the right one. Anything but zero says that
        the threshold is too low, and that about the same share of those not audited is wrong.
    """

    products: str
    threshold: float
    residues: int
    rechecked: int
    audited: int
    mismatches: int

    def __add__(self, other: "FastReport") -> "FastReport":
        """
        Return the report of two encodings with the same settings.

        Parameters
        ----------
        other : FastReport
            Of the same encoder.

        Returns
        -------
        FastReport
            Counts added.

        Raises
        ------
        ValueError
            If the settings differ.
        """
        if (self.products, self.threshold) != (other.products, other.threshold):
            msg = (
                f"reports of different settings: {self.products} with threshold {self.threshold} "
                f"and {other.products} with threshold {other.threshold}"
            )
            raise ValueError(msg)
        return FastReport(
            products=self.products,
            threshold=self.threshold,
            residues=self.residues + other.residues,
            rechecked=self.rechecked + other.rechecked,
            audited=self.audited + other.audited,
            mismatches=self.mismatches + other.mismatches,
        )

    @property
    def mismatch_bound(self) -> float:
        """Upper limit of the share of wrong ids, at 95 % confidence (rule of three at zero)."""
        return min(1.0, 3.0 * (1 + self.mismatches) / self.audited) if self.audited else 1.0


def gains_from(products: torch.dtype, device: torch.device) -> bool:
    """
    Tell whether a device multiplies faster in a precision than in float32.

    Parameters
    ----------
    products : torch.dtype
        The precision.
    device : torch.device
        A CPU or a GPU.

    Returns
    -------
    bool
        For bfloat16 on a CPU: whether it has instructions for it. Without them products are
        several times slower than in float32. False for any other precision there.
    """
    if products != torch.bfloat16:
        return False
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


class FastEncoder:
    """
    A geometric encoder and its codes; ids are those of full precision at less cost.

    Every residue is encoded with rounded products. Where its latent is so close to the border
    between two codes that rounding may have carried it across, it is encoded again in full
    precision, and so is a sample of all others, which checks the border's width.

    Parameters
    ----------
    encoder : GeometricEncoder
        In evaluation mode.
    codes : Tensor, shape=(code, latent_dim), dtype=float32
        An id is the nearest of these.
    products : torch.dtype
        Precision of the first pass.
    audit_every : int
        One in so many of the residues that are not close to a border is encoded again.

    Raises
    ------
    ConfigError
        If the encoder is of another kind. The ids of a model that follows the chain
        (``drift_weight``) are not the codes nearest to its latents: an id depends on all ids
        before it, so that a border of one residue says nothing. Such encoders are cheap, and
        for them fast means exact.

    Notes
    -----
    The border is where two codes are equally far: a latent :math:`z` with nearest code
    :math:`c_1` is :math:`(d_2^2 - d_1^2) / (2 |c_2 - c_1|)` away from that of :math:`c_2`. The
    least of these over the nearest eight codes is compared with the threshold. A certificate
    would take the largest length of any error; the threshold takes the largest error *along*
    lines between codes that calibration has seen, times 1.1. It is empirical: hence the audit.
    Which residues are audited depends on their position in the chain alone, so that the same
    chain gives the same ids and the same report every time.

    On devices without fast products in the precision (`gains_from`) callers should use the
    encoder itself.
    """

    def __init__(
        self,
        encoder: GeometricEncoder,
        codes: Tensor,
        *,
        products: torch.dtype = torch.bfloat16,
        audit_every: int = 100,
    ) -> None:
        if not isinstance(encoder, GeometricEncoder):
            msg = (
                f"fast precision needs an encoder of the kind 'geometric', got a "
                f"{type(encoder).__name__}: it is cheap, and its ids may depend on each other; "
                "encode with precision 'exact'"
            )
            raise ConfigError(msg)
        if audit_every < 1:
            msg = f"fast precision: audit_every must be 1 or more, got {audit_every}"
            raise ConfigError(msg)
        self.encoder = encoder
        self.codes = codes.detach().float()
        self.products = products
        self.audit_every = audit_every
        self._low = PackedEncoder(encoder, products=products)

    @torch.no_grad()
    def calibrate(self, batches: Iterable[Batch]) -> FastCalibration:
        """
        Measure how far rounding moves latents towards other codes.

        Parameters
        ----------
        batches : iterable of tuple of Tensor
            Coordinates, resolved, residue numbers and present, as the encoder takes them;
            chains like those to be encoded, some thousand residues.

        Returns
        -------
        FastCalibration
            For this model on this kind of device.

        Raises
        ------
        ConfigError
            If no residue is resolved.
        """
        largest, residues = 0.0, 0
        for batch in batches:
            seen = self.encoder.neighborhoods(*batch)
            if not len(seen.row):
                continue
            exact = self._exact(seen).double()
            moved = self.encoder.encode_neighborhoods(seen, packed=self._low).double() - exact
            for some, change in zip(
                exact.split(_LATENTS_PER_PASS), moved.split(_LATENTS_PER_PASS), strict=True
            ):
                normals, _ = _borders(some, self.codes)
                along = (normals @ change[..., None])[..., 0].abs()
                largest = max(largest, float(along.max()) if along.numel() else 0.0)
            residues += len(exact)
        if not residues:
            msg = "calibration: none of the chains has a resolved residue; give other chains"
            raise ConfigError(msg)
        return FastCalibration(
            products=str(self.products).removeprefix("torch."),
            threshold=_MARGIN * largest,
            largest_deviation=largest,
            residues=residues,
        )

    @torch.no_grad()
    def encode(self, batch: Batch, calibration: FastCalibration) -> tuple[Tensor, FastReport]:
        """
        Return the index of each residue's code.

        Parameters
        ----------
        batch : tuple of Tensor
            Coordinates, resolved, residue numbers and present, as the encoder takes them.
        calibration : FastCalibration
            From `calibrate`, with the same precision.

        Returns
        -------
        indices : Tensor, shape=(batch, residue), dtype=int64
            Indices; 0 where a residue is unresolved or padding.
        report : FastReport
            What was done.

        Raises
        ------
        ConfigError
            If the calibration is of another precision.
        """
        name = str(self.products).removeprefix("torch.")
        if calibration.products != name:
            msg = f"calibrated for {calibration.products}, but products are {name}; calibrate again"
            raise ConfigError(msg)
        seen = self.encoder.neighborhoods(*batch)
        latents = self.encoder.encode_neighborhoods(seen, packed=self._low)
        found = nearest_codes(latents, self.codes)
        close = self._margins(latents) <= calibration.threshold
        sample = torch.zeros_like(close)
        # Any residue can come first, according to how many there are.
        sample[len(close) % self.audit_every :: self.audit_every] = True
        sample &= ~close
        again = (close | sample).nonzero()[:, 0]
        exact = nearest_codes(self._exact(seen.some(again)), self.codes)
        wrong = int(((found[again] != exact) & sample[again]).sum())
        found[again] = exact
        resolved = batch[1] & batch[3]
        indices = torch.zeros(resolved.shape, dtype=torch.int64, device=resolved.device)
        indices[resolved] = found
        report = FastReport(
            products=name,
            threshold=calibration.threshold,
            residues=len(found),
            rechecked=int(close.sum()),
            audited=int(sample.sum()),
            mismatches=wrong,
        )
        return indices, report

    def _exact(self, seen: Neighborhoods) -> Tensor:
        return self.encoder.encode_neighborhoods(seen, packed=self.encoder.packed())

    def _margins(self, latents: Tensor) -> Tensor:
        """Return how far each latent is from the nearest border of its code."""
        parts = [
            _borders(some.double(), self.codes)[1].amin(dim=1)
            for some in latents.split(_LATENTS_PER_PASS)
        ]
        return torch.cat(parts) if parts else latents.new_zeros(0, dtype=torch.float64)


def _borders(latents: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """
    Find the borders between the nearest code and its rivals.

    Returns the directions across them, (latent, rival, dim), and how far the latents are from
    them, (latent, rival): infinite where there is only one code.
    """
    count = min(_CANDIDATES, len(codes))
    scores = torch.addmm(0.5 * codes.square().sum(1), latents.to(codes.dtype), codes.T, alpha=-1.0)
    near = codes[scores.topk(count, dim=1, largest=False).indices].double()
    squares = (latents[:, None] - near).square().sum(-1)
    # Rounded scores may have put the first two the wrong way round.
    squares, order = squares.sort(dim=1)
    near = near.gather(1, order[..., None].expand_as(near))
    if count == 1:
        return near[:, :0], squares.new_full((len(latents), 1), torch.inf)
    between = near[:, 1:] - near[:, :1]
    lengths = torch.linalg.vector_norm(between, dim=-1)
    # Copies of a code have no border; which one is taken is for full precision to say.
    safe = lengths.clamp(min=torch.finfo(lengths.dtype).tiny)
    margins = torch.where(lengths > 0, (squares[:, 1:] - squares[:, :1]) / (2 * safe), 0.0)
    return between / safe[..., None], margins
