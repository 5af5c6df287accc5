"""Which numbers does an evaluation of an image tokenizer give, and how are they kept?"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provq_protein.runs.config import from_mapping, to_mapping
from provq_vision.metrics.documents import load_json, pairs_of, save_json, without_format

FORMAT = "provq-image-evaluation"
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """
    What was measured.

    Parameters
    ----------
    model : str
        Fingerprint of the model.
    codebook_size : int
        Number of codes, of each level where there are several.
    images : str
        Hash of the set of images (`ImageSet.content_hash`).
    n_images : int
        Images that were measured.
    n_unreadable : int
        Images of the set that were not, because they cannot be read.
    size : int
        Sides in pixels of the center crops that the model got.
    eval_size : int
        Sides in pixels at which reconstructions and originals were compared.
    token_rows : int
        Rows of tokens per image.
    token_columns : int
        Columns of tokens per image.
    provq : str
        Version of this package.
    torch : str
        Version of torch.
    """

    model: str
    codebook_size: int
    images: str
    n_images: int
    n_unreadable: int
    size: int
    eval_size: int
    token_rows: int
    token_columns: int
    provq: str
    torch: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Fidelity:
    """
    How close reconstructions are to their originals: means over images.

    Parameters
    ----------
    psnr : float, optional
        Peak signal-to-noise ratio in decibels, over the images that are not reproduced exactly;
        None if all are.
    n_identical : int
        Images reproduced exactly, whose ratio is infinite.
    ssim : float
        Structural similarity with a data range of 1 (`provq_vision.metrics.fidelity.ssim`).
    ssim_llamagen : float
        The same with a range of 2, as LlamaGen's tables have it.
    """

    psnr: float | None
    n_identical: int
    ssim: float
    ssim_llamagen: float


@dataclass(frozen=True, kw_only=True, slots=True)
class FrechetScore:
    """
    How far the reconstructions, as a set, are from a reference.

    Parameters
    ----------
    rfid : float
        Frechet distance. It is the FID of papers for their Inception features alone.
    extractor : str
        Where the features are from (`FeatureExtractor.id`).
    weights_sha256 : str
        Of the weights of the extractor.
    reference : str
        The images of the reference set: hash, crop and resizing.
    is_paired : bool
        Whether the reference is the originals themselves.
    n_images : int
        Reconstructions.
    n_reference : int
        Images of the reference set. Where it is not the originals, and a set is small, most of
        the distance comes from its size.
    """

    rfid: float
    extractor: str
    weights_sha256: str
    reference: str
    is_paired: bool
    n_images: int
    n_reference: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeScore:
    """
    How one level of the codebook is used, and how far apart its codes are.

    Parameters
    ----------
    n_tokens : int
        Tokens of all images.
    perplexity : float
        Of the codes of all tokens together; never more than `n_tokens`.
    utilization : float
        Share of the codes that occur.
    group_perplexity : float
        Mean perplexity of the tokens of 64 consecutive images, which is what papers print. It
        grows with the number of tokens in such a group.
    group_utilization : float
        Mean share of the codes that occur in a group.
    n_groups : int
        Groups counted: complete ones, or the only one where there are fewer than 64 images.
    tokens_per_group : float
        Tokens in a group.
    distance : float
        Mean Euclidean distance of two effective codes.
    distance_raw : float
        The same of the table that they are made of; before normalization, for instance.
    distance_with_diagonal : float
        Mean of the whole matrix of distances of effective codes, each code's own zero included.
    distance_raw_with_diagonal : float
        The same of the table. The ProVQ authors' evaluation code takes such a mean.
    """

    n_tokens: int
    perplexity: float
    utilization: float
    group_perplexity: float
    group_utilization: float
    n_groups: int
    tokens_per_group: float
    distance: float
    distance_raw: float
    distance_with_diagonal: float
    distance_raw_with_diagonal: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """
    All numbers of one evaluation.

    Parameters
    ----------
    setting : Setting
        What was measured.
    fidelity : Fidelity
        Images against their originals.
    frechet : FrechetScore, optional
        The reconstructions as a set; None without a feature extractor.
    codes : tuple of CodeScore
        One per level; most codebooks have one.
    latent_norm : float
        Mean Euclidean length of the latents before quantization.
    problems : tuple of tuple of str
        Name and reason, for every image that could not be read, of the reference set too.
    """

    setting: Setting
    fidelity: Fidelity
    frechet: FrechetScore | None
    codes: tuple[CodeScore, ...]
    latent_norm: float
    problems: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """
        Return the numbers as JSON has them.

        Returns
        -------
        dict
            Plain values; all numbers are finite.
        """
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "setting": to_mapping(self.setting),
            "fidelity": to_mapping(self.fidelity),
            "frechet": None if self.frechet is None else to_mapping(self.frechet),
            "codes": [to_mapping(level) for level in self.codes],
            "latent_norm": self.latent_norm,
            "problems": [list(problem) for problem in self.problems],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, where: str = "evaluation") -> "Evaluation":
        """
        Build an evaluation from what `to_json` returned.

        Parameters
        ----------
        document : mapping
            Plain values.
        where : str
            Where they are from, for error messages.

        Returns
        -------
        Evaluation
            Equal to the one that was kept.

        Raises
        ------
        ConfigError
            If it is of another format or version, or an entry is missing, unknown or of the
            wrong type.
        """
        rest = without_format(document, name=FORMAT, version=FORMAT_VERSION, where=where)
        frame = from_mapping(_Frame, rest, where=where)
        return cls(
            setting=frame.setting,
            fidelity=frame.fidelity,
            frechet=_frechet(frame.frechet, where),
            codes=tuple(
                from_mapping(CodeScore, level, where=f"{where}: codes: {number}")
                for number, level in enumerate(frame.codes)
            ),
            latent_norm=frame.latent_norm,
            problems=pairs_of(frame.problems, where=where),
        )

    def save(self, path: Path) -> None:
        """
        Write the numbers to a JSON file, whole or not at all.

        Parameters
        ----------
        path : Path
            Where; replaced if it exists.
        """
        save_json(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> "Evaluation":
        """
        Read the numbers from a JSON file.

        Parameters
        ----------
        path : Path
            As `save` wrote it.

        Returns
        -------
        Evaluation
            Equal to the one that was saved.

        Raises
        ------
        ConfigError
            If the file is missing or damaged, or not what `from_json` takes.
        """
        return cls.from_json(load_json(path), where=str(path))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Frame:
    """The outer entries of the document; inner lists are read one by one."""

    setting: Setting
    fidelity: Fidelity
    # Bare types, because the strict reader takes neither lists nor optional tables.
    frechet: dict | None
    codes: list
    latent_norm: float
    problems: list


def _frechet(values: Mapping[str, Any] | None, where: str) -> FrechetScore | None:
    return None if values is None else from_mapping(FrechetScore, values, where=f"{where}: frechet")
