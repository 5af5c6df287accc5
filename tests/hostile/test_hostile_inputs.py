"""Is every hostile input refused with a message that says why, before it costs or runs anything?"""

import importlib
import pickle
import resource
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from provq_protein.cli import main
from provq_protein.errors import CheckpointError, StructureError, TokenFormatError
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.sources import Limits, members
from provq_protein.structure.reading import backbones_of_bytes, read_backbones
from provq_protein.tokens.formats import load_tokens
from provq_protein.tokens.npz import read_npz

MEGABYTE = 1 << 20


@pytest.fixture
def hostile(monkeypatch) -> ModuleType:
    """Return the module that writes hostile inputs."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return importlib.import_module("hostile_inputs")


@pytest.fixture(autouse=True)
def _nothing_runs_and_nothing_escapes(tmp_path: Path) -> Iterator[None]:
    """Fail a test in which a pickle was loaded, or in which the peak of memory rose far."""
    resource_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outside = tmp_path.parent
    before = set(outside.iterdir())
    yield
    assert not (tmp_path / "code-was-run").exists()
    assert set(outside.iterdir()) == before
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resource_before) << 10
    assert grown < 1 << 30, f"{grown:,} bytes more"


def outcomes(path: Path) -> dict[str, str | int]:
    """Return the problem, or the number of chains, of each structure of an input."""
    found: dict[str, str | int] = {}
    for member in members([path]):
        name = member.name.removeprefix(f"{path}!")
        if member.problem:
            found[name] = member.problem
            continue
        try:
            read = (
                read_backbones(member.path)
                if member.path
                else backbones_of_bytes(member.content or b"", source=member.name)
            )
            found[name] = len(read)
        except StructureError as error:
            assert member.name in str(error)
            found[name] = str(error)
    return found


def test_a_zip_bomb_is_refused_by_its_ratio(hostile, tmp_path: Path) -> None:
    reason = outcomes(hostile.zip_bomb(tmp_path))["bomb.pdb"]
    assert "compressed bytes expand to 52,428,800" in reason
    assert "more than the limit ratio=200" in reason


def test_a_bomb_in_a_tar_is_refused_while_it_expands(hostile, tmp_path: Path) -> None:
    reasons = outcomes(hostile.tar_bomb(tmp_path))
    assert all("more than the limit ratio=200" in str(reason) for reason in reasons.values())


def test_gzip_in_gzip_is_expanded_once(hostile, tmp_path: Path) -> None:
    (reason,) = outcomes(hostile.gzip_bomb(tmp_path)).values()
    assert "the content is no structure file" in str(reason)


def test_members_that_lead_out_or_are_links_are_rows_and_the_honest_one_is_read(
    hostile, tmp_path: Path
) -> None:
    found = outcomes(hostile.tar_that_escapes(tmp_path))
    assert found.pop("honest.pdb") == 1
    assert found == {
        "../../outside.pdb": "its path leads out of the archive ('..')",
        "/tmp/absolute.pdb": "its path is absolute; a member of an archive has a relative one",
        "link.pdb": "is a symbolic link, which is never followed",
        "hard.pdb": "is a hard link, which is never followed",
    }


def test_a_damaged_member_costs_itself_alone(hostile, tmp_path: Path) -> None:
    found = outcomes(hostile.zip_with_a_damaged_member(tmp_path))
    assert found["good.pdb"] == 1
    assert "Bad CRC-32" in str(found["bad.pdb"])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("truncated_gzip", "the gzip data ends too early"),
        ("truncated_cif", "cannot be read as mmCIF"),
        ("binary_cif_that_explodes", "declares 2147483647 values, more than the limit of one"),
        ("no_structure", "the content is no structure file, although its name says mmCIF"),
    ],
)
def test_damaged_structure_files_are_refused(hostile, tmp_path: Path, name: str, reason: str):
    path = getattr(hostile, name)(tmp_path)
    with pytest.raises(StructureError, match=path.name) as caught:
        read_backbones(path)
    assert reason in str(caught.value)


def test_one_long_value_among_many_atoms_is_refused(hostile, tmp_path: Path) -> None:
    content = hostile.SAMPLE.with_suffix(".cif").read_bytes()
    at = content.index(b"\nATOM") + 1
    row = content[at : content.index(b"\n", at) + 1]
    many = row * 20_000 + row.replace(b" MSE ", b" " + b"w" * 50_000 + b" ", 1)
    path = tmp_path / "wide.cif"
    path.write_bytes(content[:at] + many + content[at:])
    with pytest.raises(StructureError, match=r"wide\.cif.*more than the limit of 2,048"):
        read_backbones(path)


def test_limits_are_named_in_messages(hostile, tmp_path: Path) -> None:
    path = hostile.tar_that_escapes(tmp_path)
    for limit in ("member_bytes", "archive_members"):
        problems = [member.problem for member in members([path], limits=Limits(**{limit: 1}))]
        assert any(f"more than the limit {limit}=1" in str(problem) for problem in problems)


# --------------------------------------------------------------------------------------- models


@pytest.mark.parametrize(
    ("name", "file", "reason"),
    [
        ("pickled_weights", "model.safetensors", "not a readable safetensors file"),
        ("weights_of_a_terabyte", "model.safetensors", "not a readable safetensors file"),
        ("weights_that_overlap", "model.safetensors", "invalid offset"),
        ("weights_with_a_huge_header", "model.safetensors", "header too large"),
        ("weights_of_another_shape", "model.safetensors", "does not fit its configuration"),
        ("a_billion_wide", "config.json", "width must be between 1 and 65,536"),
        ("wider_than_memory", "model.safetensors", "has shape"),
        ("a_billion_blocks", "config.json", "refine_blocks must be between 1 and 64"),
        ("an_unknown_key", "config.json", "hook: unknown key"),
    ],
)
def test_hostile_models_are_refused_before_they_are_built(
    hostile, tmp_path: Path, monkeypatch, name: str, file: str, reason: str
) -> None:
    built = []
    monkeypatch.setattr(StructureAutoencoder, "build", lambda *args, **_: built.append(args))
    folder = getattr(hostile, name)(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        StructureAutoencoder.load(folder)
    assert str(folder / file) in str(caught.value)
    assert reason in str(caught.value)
    assert not built


# --------------------------------------------------------------------------------- token files


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pickled_npz", "allow_pickle=False"),
        ("huge_npz", "truncated or damaged .npz file"),
        ("npz_bomb", "truncated or damaged .npz file|lacks offsets"),
        ("h5_with_external_link", "offsets is a link to another place, which is not followed"),
        ("h5_with_values_elsewhere", "offsets has its values in another file"),
        ("huge_h5", "ids declares more values than the file holds"),
        ("jsonl_with_a_huge_number", "line 1: truncated or damaged line"),
        ("deep_jsonl", "line 1: truncated or damaged line"),
        ("parquet_garbage", "damaged Parquet file"),
    ],
)
def test_hostile_token_files_are_refused(hostile, tmp_path: Path, name: str, reason: str) -> None:
    path = getattr(hostile, name)(tmp_path)
    with pytest.raises(TokenFormatError, match=reason) as caught:
        load_tokens(path)
    assert str(path) in str(caught.value)


def test_arrays_beyond_the_limit_are_refused_before_they_are_expanded(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr("provq_protein.tokens.table.MAX_BYTES", MEGABYTE)
    path = tmp_path / "big.npz"
    marks = {"format": np.array("provq-tokens"), "format_version": np.array(1)}
    np.savez_compressed(path, **marks, ids=np.zeros(MEGABYTE, np.int32))
    with pytest.raises(TokenFormatError, match=r"big\.npz.*more than the limit of 1,048,576"):
        read_npz(path)


# ----------------------------------------------------------------------------------- whole runs


def test_no_code_of_a_pickle_runs_anywhere(hostile, tmp_path: Path) -> None:
    """A pickle under the name of every kind of file."""
    content = pickle.dumps(hostile.Payload(hostile.proof_of(tmp_path)))
    names = ["x.cif", "x.pdb", "x.bcif", "x.npz", "x.h5", "x.jsonl", "x.parquet", "x.pkl", "x.pt"]
    for name in names:
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(StructureError):
            read_backbones(path)
        with pytest.raises(TokenFormatError):
            load_tokens(path)


def test_the_command_says_what_is_wrong_and_writes_nothing_elsewhere(
    hostile, tmp_path: Path, capsys
) -> None:
    path = hostile.tar_that_escapes(tmp_path)
    before = {entry.name for entry in tmp_path.iterdir()}
    assert main(["encode", str(path), "-o", str(tmp_path / "out.jsonl")]) == 1
    said = capsys.readouterr().err
    assert "escape.tar!link.pdb: is a symbolic link, which is never followed" in said
    assert "Traceback" not in said
    assert {entry.name for entry in tmp_path.iterdir()} - before == {"out.jsonl"}


def test_an_encrypted_member_is_a_row(hostile, tmp_path: Path) -> None:
    path = tmp_path / "locked.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(hostile.SAMPLE, "a.pdb")
    data = bytearray(path.read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(header) + flags] |= 1
    path.write_bytes(bytes(data))
    assert "is encrypted" in str(outcomes(path)["a.pdb"])


def test_the_demonstration_covers_every_hostile_input(hostile) -> None:
    named = {*hostile.STRUCTURES.values(), *hostile.MODELS.values(), *hostile.TOKENS.values()}
    made: list[Callable[[Path], Path]] = [
        value
        for name, value in vars(hostile).items()
        if callable(value) and getattr(value, "__doc__", None) and name[0] != "_"
        and getattr(value, "__module__", "") == hostile.__name__
        and name not in ("Payload", "proof_of")
    ]  # fmt: skip
    assert set(made) == named
