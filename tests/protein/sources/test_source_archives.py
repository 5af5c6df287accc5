"""Are archives read member by member, within limits, whatever is in them?"""

import gzip
import io
import os
import random
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from provq_protein.sources import Limits, Member, members
from provq_protein.sources.byte_stream import StoredBytes

CIF = b"data_x\n" * 300
Entries = Sequence[tuple[str, bytes]]


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info.tobuf(tarfile.GNU_FORMAT)


def tar_bytes(entries: Entries, *, format: int = tarfile.PAX_FORMAT) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=format) as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()


def zip_bytes(entries: Entries, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return target.getvalue()


def zstd_bytes(content: bytes) -> bytes:
    return pytest.importorskip("zstandard").ZstdCompressor().compress(content)


PACKERS: dict[str, Callable[[Entries], bytes]] = {
    "set.tar": tar_bytes,
    "set.tar.gz": lambda entries: gzip.compress(tar_bytes(entries)),
    "set.tgz": lambda entries: gzip.compress(tar_bytes(entries, format=tarfile.GNU_FORMAT)),
    "set.tar.zst": lambda entries: zstd_bytes(tar_bytes(entries)),
    "set.zip": zip_bytes,
}
ENTRIES = (
    ("./AF-A-F1-model_v4.cif.gz", b"1" * 700),
    ("README.txt", b"no structure"),
    ("AF-A-F1-model_v4.pdb.gz", b"2" * 512),
    ("sub/é" + "long" * 60 + ".bcif", b"3"),
    ("sub/.hidden.cif", b"4"),
    ("__MACOSX/sub/b.cif", b"5"),
    ("AF-A-F1-model_v4.pdb.gz", b"6" * 513),
)


@pytest.fixture(params=PACKERS)
def packed(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes an archive, once for each kind of archive."""

    def write(entries: Entries) -> Path:
        with_warnings = request.param == "set.zip" and len(dict(entries)) < len(entries)
        path = tmp_path / request.param
        if with_warnings:
            with pytest.warns(UserWarning, match="Duplicate name"):
                path.write_bytes(PACKERS[request.param](entries))
        else:
            path.write_bytes(PACKERS[request.param](entries))
        return path

    return write


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def inner(found: Sequence[Member]) -> list[str]:
    return [member.name.partition("!")[2] for member in found]


def problems(found: Sequence[Member]) -> list[str]:
    return [member.problem for member in found if member.problem is not None]


def test_structures_are_listed_with_their_bytes_in_order(packed: Callable[..., Path]) -> None:
    path = packed(ENTRIES)
    found = list(members([path]))
    assert [(m.name, m.content) for m in found] == [
        (f"{path}!AF-A-F1-model_v4.cif.gz", b"1" * 700),
        (f"{path}!AF-A-F1-model_v4.pdb.gz", b"2" * 512),
        (f"{path}!sub/é{'long' * 60}.bcif", b"3"),
        (f"{path}!AF-A-F1-model_v4.pdb.gz", b"6" * 513),
    ]
    assert {m.source for m in found} == {"zip" if path.suffix == ".zip" else "tar"}


def test_the_pattern_chooses_one_of_two_formats(packed: Callable[..., Path]) -> None:
    found = list(members([packed(ENTRIES)], pattern="*.cif.gz"))
    assert inner(found) == ["AF-A-F1-model_v4.cif.gz"]


def test_without_a_match_there_is_one_problem(packed: Callable[..., Path]) -> None:
    (only,) = members([packed(ENTRIES)], pattern="*.nothing")
    assert "holds no structure file that matches '*.nothing'" in (only.problem or "")


def test_any_sharding_gives_the_members_of_one_pass(packed: Callable[..., Path]) -> None:
    path = packed([*ENTRIES, ("../out.cif", CIF), ("x.tar", b""), ("z.cif", CIF)])
    whole = list(members([path, "absent.cif"]))
    for count in (2, 3):
        parts = [
            list(members([path, "absent.cif"], wanted=lambda i, n=n, c=count: i % c == n))
            for n in range(count)
        ]
        assert [parts[index % count][index] for index in range(len(whole))] == whole
        for number, part in enumerate(parts):
            others = [m for index, m in enumerate(part) if index % count != number]
            assert all(m == Member(m.name, source=m.source) for m in others)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/etc/x.cif", "absolute"),
        ("../x.cif", "leads out"),
        ("a/../../x.cif", "leads out"),
        ("..\\x.cif", "leads out"),
        ("C:\\x.cif", "absolute"),
        ("../no_structure", "leads out"),
        ("more.tar.gz", "archive inside an archive"),
        ("more.zip", "archive inside an archive"),
        ("more.tar.xz", "not read"),
    ],
)
def test_escaping_and_nested_members_are_problems(
    name: str, reason: str, packed: Callable[..., Path], tmp_path: Path
) -> None:
    before = set(tmp_path.rglob("*")) | set(tmp_path.parent.glob("*"))
    path = packed([("a.cif", CIF), (name, CIF), ("b.cif", CIF)])
    first, bad, last = members([path])
    assert (first.content, last.content) == (CIF, CIF)
    assert reason in (bad.problem or "")
    assert bad.content is None
    assert set(tmp_path.rglob("*")) | set(tmp_path.parent.glob("*")) == before | {path}


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.CHRTYPE, "character device"),
        (tarfile.BLKTYPE, "block device"),
        (tarfile.FIFOTYPE, "named pipe"),
        (b"Z", "unknown type"),
    ],
)
def test_links_and_devices_in_a_tar_are_problems(kind: bytes, what: str, tmp_path: Path) -> None:
    special = header("evil.cif", kind=kind, link="/etc/passwd")
    content = special + tar_bytes([("a.cif", CIF)])
    bad, good = members([write(tmp_path / "set.tar", content)])
    assert what in (bad.problem or "")
    assert good.content == CIF


def test_a_link_in_a_zip_is_a_problem(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("evil.cif")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
        archive.writestr("a.cif", CIF)
    bad, good = members([tmp_path / "set.zip"])
    assert "symbolic link" in (bad.problem or "")
    assert good.content == CIF


def test_concatenated_tars_are_read_whole(tmp_path: Path) -> None:
    content = tar_bytes([("a.cif", CIF)]) + tar_bytes([("b.cif", CIF)])
    assert inner(list(members([write(tmp_path / "two.tar", content)]))) == ["a.cif", "b.cif"]


def test_a_damaged_header_costs_its_member_only(tmp_path: Path) -> None:
    names = [f"{letter}.cif" for letter in "abcde"]
    content = bytearray(tar_bytes([(name, CIF) for name in names], format=tarfile.GNU_FORMAT))
    step = 512 + -(-len(CIF) // 512) * 512
    for damaged in (1, 3):
        content[damaged * step + 10] ^= 0xFF
    found = list(members([write(tmp_path / "set.tar", bytes(content))]))
    assert inner(found) == ["a.cif", "", "c.cif", "", "e.cif"]
    assert problems(found) == [
        f"the header at byte {step * damaged:,} of the archive is damaged" for damaged in (1, 3)
    ]


def test_many_damaged_headers_are_many_problems_and_no_crash(tmp_path: Path) -> None:
    good, bad = header("a.cif"), b"\x01" + header("b.cif")[1:]
    content = (bad + good) * 1100 + bytes(1024)
    found = list(members([write(tmp_path / "set.tar", content)]))
    assert len(found) == 2200
    assert len(problems(found)) == 1100


def test_what_is_no_archive_is_one_problem(packed: Callable[..., Path]) -> None:
    path = packed([])
    path.write_bytes(b"not an archive " * 100)
    (only,) = members([path])
    assert "damaged" in (only.problem or "") or "no complete zip" in (only.problem or "")


def test_an_empty_file_is_one_problem(packed: Callable[..., Path]) -> None:
    path = packed([])
    path.write_bytes(b"")
    (only,) = members([path])
    assert only.problem is not None


@pytest.mark.parametrize("name", ["set.tar", "set.tar.gz", "set.tar.zst"])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_truncated_tar_gives_its_first_members_and_says_so(
    name: str, share: float, tmp_path: Path
) -> None:
    # More than a few blocks of the compression, each of which is whole or lost.
    entries = [(f"{index}.cif", os.urandom(60_000)) for index in range(10)]
    whole = PACKERS[name](entries)
    path = write(tmp_path / name, whole[: int(share * len(whole))])
    found = list(members([path]))
    read = [(m.name.partition("!")[2], m.content) for m in found if m.content is not None]
    assert len(read) >= int(share * 10) - 3
    assert read == entries[: len(read)]
    assert found[-1].name == str(path)
    assert "what follows in it is not read" in (found[-1].problem or "")
    skipped = list(members([path], wanted=lambda index: index == len(found) - 1))
    assert [m.name for m in skipped] == [m.name for m in found]
    assert skipped[-1].problem is not None


def test_a_tar_that_stops_between_two_members_is_noticed(tmp_path: Path) -> None:
    content = tar_bytes([("a.cif", CIF)]).rstrip(b"\0")
    content += bytes(-len(content) % 512)
    found = list(members([write(tmp_path / "set.tar", content)]))
    assert found[0].content == CIF
    assert "without its end marker" in (found[1].problem or "")


def test_damaged_compression_ends_the_archive_with_a_reason(tmp_path: Path) -> None:
    entries = [(f"{index}.cif", os.urandom(3000)) for index in range(10)]
    content = bytearray(gzip.compress(tar_bytes(entries)))
    content[-8] ^= 0xFF  # the checksum
    found = list(members([write(tmp_path / "set.tar.gz", bytes(content))]))
    assert [m.content for m in found[:10]] == [content for _, content in entries]
    assert len(found) == 11
    assert "damaged" in (found[10].problem or "")


def test_a_member_of_a_zip_with_a_wrong_checksum_is_one_problem(tmp_path: Path) -> None:
    content = bytearray(zip_bytes([(f"{c}.cif", CIF) for c in "abc"], zipfile.ZIP_STORED))
    content[content.index(b"b.cif") + 100] ^= 0xFF
    first, bad, last = members([write(tmp_path / "set.zip", bytes(content))])
    assert (first.content, last.content) == (CIF, CIF)
    assert "Bad CRC-32" in (bad.problem or "")


def test_a_truncated_zip_is_one_problem(tmp_path: Path) -> None:
    content = zip_bytes([("a.cif", CIF)])
    (only,) = members([write(tmp_path / "set.zip", content[:-30])])
    assert "no complete zip archive" in (only.problem or "")


def test_encrypted_and_oddly_compressed_zip_members_are_problems(tmp_path: Path) -> None:
    content = bytearray(zip_bytes([("a.cif", CIF)]))
    content[content.index(b"PK\1\2") + 8] |= 1
    (locked,) = members([write(tmp_path / "locked.zip", bytes(content))])
    assert "repack the archive without a password" in (locked.problem or "")
    odd = zip_bytes([("a.cif", CIF)], zipfile.ZIP_LZMA)
    (odd_member,) = members([write(tmp_path / "odd.zip", odd)])
    assert "repack the archive with deflate" in (odd_member.problem or "")


def test_a_member_over_its_limit_is_a_problem_that_names_the_limit(
    packed: Callable[..., Path],
) -> None:
    path = packed([("a.cif", CIF), ("big.cif", CIF * 2), ("b.cif", CIF)])
    first, bad, last = members([path], limits=Limits(member_bytes=len(CIF)))
    assert (first.content, last.content) == (CIF, CIF)
    assert bad.problem == (
        f"has {2 * len(CIF):,} bytes, more than the limit member_bytes={len(CIF):,}; "
        "raise it if you trust the input"
    )


@pytest.mark.parametrize("name", ["set.tar.gz", "set.tar.zst", "set.zip"])
@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        (Limits(ratio=50, ratio_after=1 << 20), "ratio=50"),
        (Limits(archive_bytes=1 << 20), "archive_bytes=1,048,576"),
    ],
)
def test_a_bomb_is_refused_before_it_is_expanded(
    name: str, limits: Limits, limit: str, tmp_path: Path
) -> None:
    path = write(tmp_path / name, PACKERS[name]([("a.cif", CIF), ("bomb.cif", bytes(32 << 20))]))
    tracemalloc.start()
    try:
        found = list(members([path], limits=limits))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found[0].content == CIF
    assert any(limit in reason for reason in problems(found))
    assert peak < 12 << 20


def test_a_bomb_among_unlisted_members_is_refused_too(tmp_path: Path) -> None:
    content = gzip.compress(tar_bytes([("zeros", bytes(32 << 20)), ("a.cif", CIF)]))
    path = write(tmp_path / "set.tgz", content)
    (only,) = members([path], limits=Limits(ratio=50, ratio_after=1 << 20))
    assert "ratio=50" in (only.problem or "")


def test_too_many_entries_are_refused(packed: Callable[..., Path]) -> None:
    path = packed([(f"{index}.cif", CIF) for index in range(5)])
    found = list(members([path], limits=Limits(archive_members=3)))
    assert "archive_members=3" in (found[-1].problem or "")
    assert len(found) in (1, 4)


@pytest.mark.parametrize("size", [2**33, 2**62])
def test_a_huge_declared_size_takes_no_memory(size: int, tmp_path: Path) -> None:
    content = header("a.cif", size) + CIF
    path = write(tmp_path / "set.tar", content)
    limits = Limits(member_bytes=2**63)
    tracemalloc.start()
    try:
        bad, rest = members([path], limits=limits)
        refused = list(members([path]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "ends within 'a.cif'" in (bad.problem or "")
    assert "ends within 'a.cif'" in (rest.problem or "")
    assert "member_bytes" in (refused[0].problem or "")
    assert peak < 4 << 20


def test_a_huge_or_negative_extended_header_takes_no_memory(tmp_path: Path) -> None:
    for size in (1 << 30, -5):
        content = header("name", size, tarfile.GNUTYPE_LONGNAME) + bytes(4096)
        (only,) = members([write(tmp_path / "set.tar", content)])
        assert "extended header" in (only.problem or "")


def test_a_member_whose_size_stands_in_an_extended_header_is_read(tmp_path: Path) -> None:
    record = f"{len(str(len(CIF))) + 9} size={len(CIF)}\n".encode()
    record += b"20 SCHILY.xattr.x=1\n"
    content = header("pax", len(record), tarfile.XHDTYPE) + record.ljust(512, b"\0")
    content += header("a.cif") + CIF.ljust(-(-len(CIF) // 512) * 512, b"\0") + bytes(1024)
    (only,) = members([write(tmp_path / "set.tar", content)])
    assert only.content == CIF


class Counter:
    """Counts the bytes that plain archives are read by."""

    total = 0


@pytest.fixture
def bytes_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Counter]]:
    real = StoredBytes.read

    def read(self: StoredBytes, size: int) -> bytes:
        content = real(self, size)
        Counter.total += len(content)
        return content

    Counter.total = 0
    monkeypatch.setattr(StoredBytes, "read", read)
    return Counter


def test_the_bytes_of_unwanted_members_are_not_read(
    bytes_read: type[Counter], tmp_path: Path
) -> None:
    entries = [(f"{index}.cif", bytes(200_000)) for index in range(20)]
    path = write(tmp_path / "set.tar", tar_bytes(entries, format=tarfile.GNU_FORMAT))
    found = list(members([path], wanted=lambda index: index == 7))
    assert [m.content is not None for m in found] == [index == 7 for index in range(20)]
    assert bytes_read.total < 200_000 + 21 * 512 + 20 * 1024


def test_unwanted_zip_members_are_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    real = zipfile.ZipFile.open

    def spy(self: zipfile.ZipFile, entry: zipfile.ZipInfo) -> object:
        opened.append(entry.filename)
        return real(self, entry)

    path = write(tmp_path / "set.zip", zip_bytes([(f"{index}.cif", CIF) for index in range(9)]))
    monkeypatch.setattr(zipfile.ZipFile, "open", spy)
    list(members([path], wanted=lambda index: index == 4))
    assert opened == ["4.cif"]


def test_one_member_is_in_memory_at_a_time(tmp_path: Path) -> None:
    big = bytes(2 << 20)
    path = write(tmp_path / "set.tar", tar_bytes([(f"{index}.cif", big) for index in range(16)]))
    tracemalloc.start()
    try:
        count = sum(member.content is not None for member in members([path]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 16
    assert peak < 8 << 20


def test_members_come_before_the_end_of_the_archive_is_looked_at(
    bytes_read: type[Counter], tmp_path: Path
) -> None:
    entries = [(f"{index}.cif", CIF) for index in range(50)]
    path = write(tmp_path / "set.tar", tar_bytes(entries))
    listed = members([path])
    assert next(listed).content == CIF
    assert bytes_read.total < 3 * len(CIF)
    listed.close()


@pytest.mark.parametrize("seed", range(12))
def test_changed_bytes_never_crash_or_end_the_run(
    seed: int, packed: Callable[..., Path], tmp_path: Path
) -> None:
    path = packed([(f"{index}.cif", CIF) for index in range(4)])
    content = bytearray(path.read_bytes())
    chance = random.Random(seed)
    for _ in range(3):
        content[chance.randrange(len(content))] ^= chance.randrange(1, 256)
    path.write_bytes(bytes(content[: len(content) - seed % 3 * 100]))
    (tmp_path / "last.cif").write_text("data_x")
    found = list(members([path, tmp_path / "last.cif"]))
    assert found[-1].path == tmp_path / "last.cif"
    assert len(found) > 1
    assert all(m.problem or m.content is not None for m in found[:-1])
