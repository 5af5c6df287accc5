"""What does a model folder hold for an encoder that runs without torch?"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from provq_protein.errors import CheckpointError
from provq_protein.runs.documents import (
    CONFIG,
    WEIGHTS,
    check_fingerprint,
    check_format,
    load_document,
)

Tensors: TypeAlias = Mapping[str, NDArray[Any]]

_FINGERPRINT_DIGITS = 16
_ENCODERS = ("chain", "neighborhood")
# Kinds of codebook whose codes are a table of the weights file, as it is.
_CODEBOOKS = ("diveq", "ema", "free", "rotation")
_TABLE = "quantizer.codebook.table"
# Of a neighbor: three atoms, a rotation, and its distance in 16 radial functions. Of a bonded
# residue: three atoms, a rotation, and whether it is there.
_NEIGHBOR_FEATURES = 9 + 9 + 16
BONDED_FEATURES = 9 + 9 + 1
_STEP_NUMBERS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings:
    """
    Sizes of an encoder and its codebook.

    Parameters
    ----------
    kind : str
        "chain" or "neighborhood".
    latent_dim, width, heads, neighbors, max_offset, neighbor_ffn_ratio, query_ffn_ratio : int
        As in ``NeighborhoodEncoderConfig``.
    chain_reach, course_width, break_codes : int
        As in ``ChainEncoderConfig``; 0 for the other kind.
    drift_weight : float
        As in ``ChainEncoderConfig``; 0 for the other kind.
    codebook_size : int
        Number of codes, those for breaks included.
    """

    kind: str
    latent_dim: int
    width: int
    heads: int
    neighbors: int
    max_offset: int
    neighbor_ffn_ratio: int
    query_ffn_ratio: int
    chain_reach: int = 0
    course_width: int = 0
    break_codes: int = 0
    drift_weight: float = 0.0
    codebook_size: int

    @property
    def follows_chain(self) -> bool:
        """Whether codes stand for steps along the chain."""
        return self.kind == "chain"


@dataclass(frozen=True, slots=True)
class EncoderFolder:
    """
    The encoder and codebook of a model folder.

    Parameters
    ----------
    settings : EncoderSettings
        Sizes.
    tensors : mapping of str to ndarray
        Weights and tables by name; those of the decoder are left on disk.
    fingerprint : str
        What the model has where torch computes it.
    """

    settings: EncoderSettings
    tensors: Tensors
    fingerprint: str

    @property
    def codes(self) -> NDArray[np.float32]:
        """The learned codes, (code, latent_dim), without those for breaks."""
        return self.tensors[_TABLE]


def load_encoder(folder: Path) -> EncoderFolder:
    """
    Read the encoder and codebook of a model folder.

    Parameters
    ----------
    folder : Path
        As ``StructureAutoencoder.save`` wrote it.

    Returns
    -------
    EncoderFolder
        Complete, and known to be what the folder's fingerprint stands for.

    Raises
    ------
    CheckpointError
        If a file is missing or damaged, weights and configuration do not belong together, or
        the model is of a kind that only torch can run.
    """
    if not folder.is_dir():
        msg = f"{folder}: no such model folder; it should hold {WEIGHTS} and {CONFIG}"
        raise CheckpointError(msg)
    document = load_document(folder / CONFIG)
    check_format(folder, document)
    encoder, codebook = _sections(folder, document)
    settings = _settings(folder, encoder, codebook)
    tensors = _tensors(folder / WEIGHTS)
    _check_shapes(folder, settings, tensors)
    found = _fingerprint(encoder, codebook, tensors)
    check_fingerprint(folder, document, found)
    return EncoderFolder(settings, tensors, found)


def _sections(folder: Path, document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    model = document.get("model")
    sections = []
    for name in ("encoder", "codebook"):
        section = model.get(name) if isinstance(model, dict) else None
        if not isinstance(section, dict):
            msg = f"{folder / CONFIG}: model.{name} is missing; write the model folder again"
            raise CheckpointError(msg)
        sections.append(section)
    return sections[0], sections[1]


def _settings(
    folder: Path, encoder: Mapping[str, Any], codebook: Mapping[str, Any]
) -> EncoderSettings:
    for name, section, known in (
        ("encoder", encoder, _ENCODERS),
        ("codebook", codebook, _CODEBOOKS),
    ):
        if section.get("kind") not in known:
            msg = (
                f"{folder}: the ONNX runtime does not know the {name} kind "
                f"{section.get('kind')!r}; it runs {', '.join(known)}. Encode with --runtime torch"
            )
            raise CheckpointError(msg)
    sizes = ["latent_dim", "width", "heads", "neighbors", "max_offset"]
    sizes += ["neighbor_ffn_ratio", "query_ffn_ratio"]
    where = f"{folder / CONFIG}: model.encoder"
    drift, breaks = 0.0, 0
    if encoder["kind"] == "chain":
        sizes += ["chain_reach", "course_width"]
        breaks = _whole(encoder, "break_codes", where, least=0)
        drift = _weight(encoder, "drift_weight", where)
    settings = EncoderSettings(
        kind=encoder["kind"],
        drift_weight=drift,
        break_codes=breaks,
        codebook_size=_whole(codebook, "size", f"{folder / CONFIG}: model.codebook", least=2),
        **{name: _whole(encoder, name, where, least=1) for name in sizes},
    )
    if settings.width % settings.heads:
        msg = f"{where}: width ({settings.width}) is no multiple of heads ({settings.heads})"
        raise CheckpointError(msg)
    return settings


def _weight(section: Mapping[str, Any], name: str, where: str) -> float:
    value = section.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        msg = f"{where}.{name} must be a number of at least 0, got {value!r}"
        raise CheckpointError(msg)
    return float(value)


def _whole(section: Mapping[str, Any], name: str, where: str, *, least: int) -> int:
    value = section.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        msg = f"{where}.{name} must be an integer of at least {least}, got {value!r}"
        raise CheckpointError(msg)
    return value


def _tensors(path: Path) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        msg = f"{path}: no such weights file; a model folder holds {WEIGHTS} and {CONFIG}"
        raise CheckpointError(msg)
    try:
        with safe_open(str(path), framework="numpy") as file:
            # Four fifths of the shipped file are the decoder's.
            names = [name for name in file.keys() if not name.startswith("decoder.")]  # noqa: SIM118
            return {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        msg = f"{path}: is not a readable safetensors file: {error}"
        raise CheckpointError(msg) from error


def _check_shapes(folder: Path, settings: EncoderSettings, tensors: Tensors) -> None:
    """Refuse weights that are not those of the networks that are built for them."""
    path = folder / WEIGHTS
    expected = _shapes(settings)
    absent = sorted(set(expected) - set(tensors))
    # A quantizer has counts of its own that encoding does not read.
    ours = {name for name in tensors if not name.startswith("quantizer.")}
    strange = sorted(ours - set(expected))
    if absent or strange:
        msg = f"{path}: does not fit its configuration: absent {absent[:3]}, unknown {strange[:3]}"
        raise CheckpointError(msg)
    for name, shape in expected.items():
        found, dtype = tensors[name].shape, tensors[name].dtype
        wanted = np.dtype(np.bool_ if name == "breaks.fitted" else np.float32)
        if found != shape or dtype != wanted:
            msg = f"{path}: {name} is {dtype} {found}, expected {wanted} {shape}"
            raise CheckpointError(msg)


def _shapes(settings: EncoderSettings) -> dict[str, tuple[int, ...]]:
    """Return what the weights of an encoder and its codebook look like."""
    width, latent = settings.width, settings.latent_dim
    shapes: dict[str, tuple[int, ...]] = {
        **_linear("encoder.features", _NEIGHBOR_FEATURES, width),
        "encoder.offsets.weight": (2 * settings.max_offset + 1, width),
        **_block("encoder.exchange", width, settings.neighbor_ffn_ratio),
        **_block("encoder.read_out", width, settings.query_ffn_ratio),
        **_norm("encoder.norm", width),
        **_linear("encoder.to_latent", width, latent),
        _TABLE: (settings.codebook_size - settings.break_codes, latent),
    }
    if settings.follows_chain:
        seen, course = 2 * settings.chain_reach * BONDED_FEATURES, settings.course_width
        shapes |= {
            **_linear("encoder.along_chain.0", seen, 2 * width),
            **_linear("encoder.along_chain.2", 2 * width, width),
            "encoder.course.weight": (latent, BONDED_FEATURES),
            **_linear("course.layers.0", latent, course),
            **_norm("course.layers.1", course),
            **_linear("course.layers.2", course, course),
            **_linear("course.layers.4", course, _STEP_NUMBERS),
        }
    if settings.break_codes:
        count = settings.break_codes
        shapes |= {
            "breaks.rotations": (count, 3, 3),
            "breaks.translations": (count, 3),
            "breaks.vectors": (count, latent),
            "breaks.fitted": (),
        }
    return shapes


def _block(name: str, width: int, ratio: int) -> dict[str, tuple[int, ...]]:
    return {
        **_norm(f"{name}.norm_attention", width),
        **_linear(f"{name}.query", width, width),
        **_linear(f"{name}.key_value", width, 2 * width),
        **_linear(f"{name}.output", width, width),
        **_norm(f"{name}.norm_ffn", width),
        **_linear(f"{name}.expand", width, ratio * width),
        **_linear(f"{name}.contract", ratio * width, width),
    }


def _linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _fingerprint(encoder: Mapping[str, Any], codebook: Mapping[str, Any], tensors: Tensors) -> str:
    """Do what ``StructureAutoencoder.fingerprint`` does."""
    # A hand-written 0 is 0.0 once it has been read.
    settings = {"encoder": dict(encoder), "codebook": dict(codebook)}
    for section, name in (("encoder", "drift_weight"), ("codebook", "commitment_weight")):
        if isinstance(settings[section].get(name), int):
            settings[section][name] = float(settings[section][name])
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].tobytes())
    return digest.hexdigest()[:_FINGERPRINT_DIGITS]
