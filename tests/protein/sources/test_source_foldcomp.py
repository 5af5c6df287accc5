"""Is FoldComp data read entry by entry, and can damaged data end a run?"""

import io
import random
import struct
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from provq_protein.errors import MissingExtraError, StructureError
from provq_protein.sources import FOLDCOMP_WARNING, Limits, foldcomp_codec, members
from provq_protein.sources.foldcomp_codec import FoldcompDecoder
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.reading import read_backbones

foldcomp: Any = pytest.importorskip("foldcomp", reason="the extra `foldcomp` is not installed")


@pytest.fixture(scope="module")
def structure(repo_root: Path) -> Path:
    """Return a structure; FoldComp is given a part of it without a gap."""
    return repo_root / "data" / "structures" / "1a8o.pdb"


@pytest.fixture(scope="module")
def packed(structure: Path) -> bytes:
    """Return residues 152 to 184 as FoldComp data."""
    lines = structure.read_text().splitlines(keepends=True)
    atoms = [line for line in lines if line.startswith("ATOM")]
    return foldcomp.compress("entry", "".join(a for a in atoms if int(a[22:26]) < 185))


def write_database(
    path: Path, entries: Sequence[tuple[str, bytes]], *, lookup: str = "same order"
) -> Path:
    index, names, offset = [], [], 0
    for key, (name, content) in enumerate(entries):
        index.append(f"{key}\t{offset}\t{len(content)}\n")
        names.append(f"{key}\t{name}\t0\n")
        offset += len(content)
    path.write_bytes(b"".join(content for _, content in entries))
    path.with_name(path.name + ".index").write_text("".join(index))
    path.with_name(path.name + ".dbtype").write_bytes(struct.pack("<i", 12))
    if lookup != "absent":
        ordered = names if lookup == "same order" else names[::-1]
        path.with_name(path.name + ".lookup").write_text("".join(ordered))
    return path


def chain_of(content: bytes | None, tmp_path: Path) -> Backbone:
    assert content is not None
    (tmp_path / "decoded.pdb").write_bytes(content)
    (chain,) = read_backbones(tmp_path / "decoded.pdb")
    return chain


def test_a_file_becomes_the_text_of_a_pdb_file(
    packed: bytes, structure: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.fcz").write_bytes(packed)
    (only,) = members([tmp_path / "a.fcz"])
    assert (only.name, only.source) == (str(tmp_path / "a.fcz"), "foldcomp")
    chain = chain_of(only.content, tmp_path)
    (original,) = read_backbones(structure)
    rows = [original.residue_ids.index(name) for name in chain.residue_ids]
    assert rows == list(range(1, 34))
    difference = np.abs(chain.coords - original.coords[rows])
    assert 0 < difference.max() < 0.5


def test_the_warning_names_the_loss() -> None:
    assert "about 0.05 Angstrom" in FOLDCOMP_WARNING
    assert "\n" not in FOLDCOMP_WARNING


@pytest.mark.parametrize("lookup", ["same order", "other order"])
def test_a_database_is_read_in_the_order_of_its_index(
    lookup: str, packed: bytes, tmp_path: Path
) -> None:
    entries = [(f"AF-{letter}-F1", packed) for letter in "CAB"]
    path = write_database(tmp_path / "afdb", entries, lookup=lookup)
    found = list(members([path]))
    assert [m.name for m in found] == [f"{path}!{name}" for name, _ in entries]
    assert {m.source for m in found} == {"foldcomp"}
    assert len({m.content for m in found}) == 1
    assert [m.name for m in members([path], pattern="AF-[AB]-*")] == [
        f"{path}!AF-A-F1",
        f"{path}!AF-B-F1",
    ]


def test_without_a_lookup_the_keys_are_the_names(packed: bytes, tmp_path: Path) -> None:
    path = write_database(tmp_path / "afdb", [("x", packed)] * 2, lookup="absent")
    assert [m.name for m in members([path])] == [f"{path}!0", f"{path}!1"]


def test_damaged_entries_are_problems_and_the_others_are_read(
    packed: bytes, tmp_path: Path
) -> None:
    many = packed[:4] + b"\xff" * 8 + packed[12:]
    entries = [("a", packed), ("b", many), ("c", b"none"), ("d", packed[:50]), ("e", packed)]
    path = write_database(tmp_path / "afdb", entries)
    index = path.with_name("afdb.index")
    index.write_text(index.read_text() + "9\t0\t99999999\nno line\n")
    found = list(members([path]))
    assert [m.content is not None for m in found] == [True, False, False, False, True, False, False]
    reasons = [m.problem or "" for m in found]
    assert "ends too early" in reasons[1]
    assert "is no FoldComp data" in reasons[2]
    assert "50 of 76 bytes" in reasons[3]
    assert "is it complete?" in reasons[5]
    assert "line 7 of its index" in reasons[6]


def test_the_decoder_is_not_started_for_unwanted_entries(
    packed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    real = FoldcompDecoder.decode

    def spy(self: FoldcompDecoder, content: bytes, *, limit: int) -> bytes:
        decoded.append(len(content))
        return real(self, content, limit=limit)

    monkeypatch.setattr(FoldcompDecoder, "decode", spy)
    path = write_database(tmp_path / "afdb", [(str(n), packed) for n in range(5)])
    (tmp_path / "a.fcz").write_bytes(packed)
    found = list(members([path, tmp_path / "a.fcz"], wanted=lambda index: index == 3))
    assert [m.content is not None for m in found] == [False, False, False, True, False, False]
    assert len(decoded) == 1


def test_entries_of_a_tar_are_decoded(packed: bytes, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        info = tarfile.TarInfo("a.fcz")
        info.size = len(packed)
        archive.addfile(info, io.BytesIO(packed))
    (only,) = members([tmp_path / "set.tar"])
    assert only.source == "foldcomp"
    assert len(chain_of(only.content, tmp_path)) == 33


def test_the_text_may_not_exceed_its_limit(packed: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.fcz").write_bytes(packed)
    (only,) = members([tmp_path / "a.fcz"], limits=Limits(member_bytes=len(packed) + 1))
    assert "bytes of PDB text, more than the limit member_bytes" in (only.problem or "")


def test_a_decoder_that_dies_costs_one_entry(
    packed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = FoldcompDecoder()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(foldcomp_codec, "_START", "import os; os.abort()")
            with pytest.raises(StructureError, match="damaged: decoding it ended with signal 6"):
                decoder.decode(packed, limit=1 << 20)
        assert decoder.decode(packed, limit=1 << 20).startswith(b"TITLE")
    finally:
        decoder.close()


@pytest.mark.parametrize("seed", range(4))
def test_changed_bytes_never_end_the_run(seed: int, packed: bytes, tmp_path: Path) -> None:
    chance = random.Random(seed)
    entries = []
    for number in range(10):
        content = bytearray(packed)
        for _ in range(3):
            content[chance.randrange(4, 200)] = chance.randrange(256)
        entries.append((str(number), bytes(content)))
    found = list(members([write_database(tmp_path / "afdb", [*entries, ("whole", packed)])]))
    assert len(found) == 11
    assert all(m.problem or m.content for m in found)
    assert found[-1].content is not None


def test_a_decoder_that_takes_too_long_is_ended(packed: bytes) -> None:
    decoder = FoldcompDecoder(seconds=0.0)
    try:
        with pytest.raises(StructureError, match="signal 9"):
            decoder.decode(packed, limit=1 << 20)
    finally:
        decoder.close()


def test_without_foldcomp_the_problem_names_the_extra(
    packed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(module: str, *, extra: str, purpose: str) -> None:
        msg = f"{purpose} needs {module}, install provq[{extra}]"
        raise MissingExtraError(msg)

    monkeypatch.setattr("provq_protein.sources.foldcomp_codec.require_extra", absent)
    (tmp_path / "a.fcz").write_bytes(packed)
    (only,) = members([tmp_path / "a.fcz"])
    assert "install provq[foldcomp]" in (only.problem or "")
