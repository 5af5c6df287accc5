"""How do the statistics of the shipped model's codes lie in a file?"""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from provq_protein.errors import CheckpointError, TokenFormatError
from provq_protein.reports.code_numbers import FLANK, STRUCTURES, CodeFragment, use_of_counts
from provq_protein.reports.code_statistics import CodeStatistics, CountedSet
from provq_protein.runs.documents import CONFIG, default_model, load_document
from provq_protein.runs.files import replacing
from provq_protein.tokenizer import StructureTokenizer
from provq_protein.tokens.npz import read_archive

FORMAT, FORMAT_VERSION = "provq-code-statistics", 1

EXEMPLARS = 3
"""Places for exemplars of each code; fewer may be taken."""

UNIT = 0.01
"""Mean fragments are stored as integers of this many Angstrom."""

_PIECE = 2 * FLANK + 1
_TEXTS = ("fingerprint", "set_name", "data_hash", "sha256", "version")
_NUMBERS = ("chains", "seed")
# Name of an array -> kind of its values and shape after the first axis, which is codes.
_BY_CODE: dict[str, tuple[str, tuple[int, ...]]] = {
    "counts": ("i", ()),
    "by_structure": ("i", (len(STRUCTURES),)),
    "fragments": ("i", (_PIECE, 3, 3)),
    "spread": ("f", ()),
    "used": ("i", ()),
    "exemplar_chain": ("i", (EXEMPLARS,)),
    "exemplar_residue": ("U", (EXEMPLARS,)),
}
_NAMES = (*_TEXTS, *_NUMBERS, *_BY_CODE, "chain_names")
_ADVICE = "install provq again, or name the files to count in"


def default_statistics_file() -> Path:
    """
    Return where the statistics of the shipped model lie.

    Returns
    -------
    Path
        In the package; an incomplete installation may lack it.
    """
    folder = resources.files("provq_protein.reports") / "assets"
    return Path(str(folder / "default_codes.npz"))


def shipped_statistics(tokenizer: StructureTokenizer) -> CodeStatistics | None:
    """
    Return what is shipped about the codes of a model.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        The model.

    Returns
    -------
    CodeStatistics or None
        None for a model with another fingerprint than the shipped one.

    Raises
    ------
    CheckpointError
        If the file of the shipped model is missing, damaged, or about another model.
    """
    expected = load_document(default_model() / CONFIG).get("fingerprint")
    if tokenizer.fingerprint != expected:
        return None
    path = default_statistics_file()
    statistics = read_statistics(path)
    _expect(
        path,
        statistics.fingerprint == tokenizer.fingerprint,
        f"is about the model {statistics.fingerprint}, expected {tokenizer.fingerprint}",
    )
    codes = len(statistics.use.counts)
    _expect(
        path,
        codes == tokenizer.codebook_size,
        f"is about {codes:,} codes, expected {tokenizer.codebook_size:,}",
    )
    return statistics


def write_statistics(path: Path, statistics: CodeStatistics) -> None:
    """
    Write statistics, whole or not at all; the same ones give the same bytes.

    Parameters
    ----------
    path : Path
        An ``.npz`` file; replaced if it exists.
    statistics : CodeStatistics
        With an origin. Mean fragments are rounded to `UNIT`, spreads to float32.

    Raises
    ------
    ValueError
        If there is no origin.
    """
    if statistics.origin is None:
        msg = "statistics without an origin are not shipped"
        raise ValueError(msg)
    origin, size = statistics.origin, len(statistics.use.counts)
    named = {chain for one in statistics.fragments.values() for chain, _ in one.exemplars}
    names = {name: row for row, name in enumerate(sorted(named))}
    coords = np.zeros((size, _PIECE, 3, 3), np.int16)
    spread, used = np.zeros(size, np.float32), np.zeros(size, np.int32)
    chain, residue = np.full((size, EXEMPLARS), -1, np.int32), [[""] * EXEMPLARS] * size
    for code, one in statistics.fragments.items():
        centred = one.coords - one.coords.mean(axis=(0, 1))
        coords[code] = np.rint(centred / UNIT).astype(np.int16)
        spread[code], used[code] = one.spread, one.used
        kept = one.exemplars[:EXEMPLARS]
        chain[code, : len(kept)] = [names[name] for name, _ in kept]
        residue[code] = [number for _, number in kept] + [""] * (EXEMPLARS - len(kept))
    with replacing(path) as temporary, temporary.open("wb") as file:
        # NumPy gives every member the same date, so that equal arrays are equal bytes.
        np.savez_compressed(
            file,
            allow_pickle=False,
            format=np.array(FORMAT),
            format_version=np.array(FORMAT_VERSION),
            fingerprint=np.array(statistics.fingerprint),
            set_name=np.array(origin.name),
            data_hash=np.array(origin.data_hash),
            sha256=np.array(origin.sha256),
            version=np.array(origin.version),
            chains=np.array(statistics.chains, np.int64),
            seed=np.array(origin.seed, np.int64),
            counts=statistics.use.counts.astype(np.int32),
            by_structure=statistics.use.by_structure.astype(np.int32),
            fragments=coords,
            spread=spread,
            used=used,
            exemplar_chain=chain,
            exemplar_residue=np.array(residue, dtype=np.str_),
            chain_names=np.array(list(names), dtype=np.str_),
        )


def read_statistics(path: Path) -> CodeStatistics:
    """
    Read what `write_statistics` wrote.

    Parameters
    ----------
    path : Path
        The ``.npz`` file.

    Returns
    -------
    CodeStatistics
        With an origin.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, of another kind, or contradicts itself.
    """

    def check(form: object, version: object) -> None:
        if (form, version) != (FORMAT, FORMAT_VERSION):
            msg = f"format {form!r} version {version!r}, expected {FORMAT} {FORMAT_VERSION}"
            raise TokenFormatError(msg)

    try:
        arrays = read_archive(path, _NAMES, check=check, kind="file of code statistics")
    except (TokenFormatError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        # Some messages begin with the path.
        msg = f"{path}: cannot be used ({reason.removeprefix(f'{path}: ')}); {_ADVICE}"
        raise CheckpointError(msg) from error
    _check_arrays(path, arrays)
    return _unpacked(arrays)


def _check_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    absent = [name for name in _NAMES if name not in arrays]
    _expect(path, not absent, f"lacks {', '.join(absent)}")
    for name in (*_TEXTS, *_NUMBERS):
        kind = "U" if name in _TEXTS else "i"
        _expect_array(path, name, arrays[name], kind, ())
    codes = (arrays["counts"].size,)
    for name, (kind, shape) in _BY_CODE.items():
        _expect_array(path, name, arrays[name], kind, (*codes, *shape))
    names = arrays["chain_names"]
    _expect_array(path, "chain_names", names, "U", (names.size,))
    counts, chosen = arrays["counts"], arrays["exemplar_chain"]
    sums = arrays["by_structure"].sum(axis=1)
    _expect(path, bool((counts == sums).all() and (counts >= 0).all()), "has counts that disagree")
    _expect(path, bool((arrays["by_structure"] >= 0).all()), "has counts below 0")
    used = arrays["used"]
    _expect(path, bool(((used >= 0) & (used <= counts)).all()), "has more pieces than residues")
    _expect(path, bool(np.isfinite(arrays["spread"]).all()), "has a spread that is no number")
    _expect(
        path,
        bool(((chosen >= -1) & (chosen < names.size)).all()),
        "names exemplars in chains that it does not list",
    )


def _unpacked(arrays: Mapping[str, npt.NDArray[Any]]) -> CodeStatistics:
    names = arrays["chain_names"].tolist()
    fragments = {}
    for code in np.flatnonzero(arrays["used"]).tolist():
        rows = zip(
            arrays["exemplar_chain"][code].tolist(),
            arrays["exemplar_residue"][code].tolist(),
            strict=True,
        )
        fragments[code] = CodeFragment(
            coords=arrays["fragments"][code].astype(np.float64) * UNIT,
            spread=float(arrays["spread"][code]),
            used=int(arrays["used"][code]),
            exemplars=tuple((names[row], residue) for row, residue in rows if row >= 0),
        )
    texts = {name: str(arrays[name]) for name in _TEXTS}
    return CodeStatistics(
        fingerprint=texts["fingerprint"],
        chains=int(arrays["chains"]),
        use=use_of_counts(arrays["counts"].astype(np.int64), arrays["by_structure"]),
        fragments=fragments,
        origin=CountedSet(
            name=texts["set_name"],
            data_hash=texts["data_hash"],
            sha256=texts["sha256"],
            seed=int(arrays["seed"]),
            version=texts["version"],
        ),
    )


def _expect_array(
    path: Path, name: str, found: npt.NDArray[Any], kind: str, shape: tuple[int, ...]
) -> None:
    _expect(
        path,
        found.dtype.kind == kind and found.shape == shape,
        f"{name} is {found.dtype} {found.shape}, expected {kind} {shape}",
    )


def _expect(path: Path, condition: bool, problem: str) -> None:
    if not condition:
        msg = f"{path}: {problem}; {_ADVICE}"
        raise CheckpointError(msg)
