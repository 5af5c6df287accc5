"""Is a compressed file expanded to its limit and no further, whatever it was packed with."""

import gzip
from pathlib import Path

import pytest

from provq_protein.errors import MissingExtraError, StructureError
from provq_protein.structure import read_backbones, unpacking
from provq_protein.structure.reading import backbones_of_bytes

zstandard = pytest.importorskip("zstandard")


@pytest.fixture
def content(repo_root: Path) -> bytes:
    return (repo_root / "data" / "structures" / "1a8o.cif").read_bytes()


def coords(data: bytes, **options: object) -> list[bytes]:
    chains = backbones_of_bytes(data, source="x.cif", **options)
    return [chain.coords.tobytes() for chain in chains]


def reason(data: bytes, **options: object) -> str:
    with pytest.raises(StructureError) as caught:
        backbones_of_bytes(data, source="a.tar!x.cif.gz", **options)
    message = str(caught.value)
    assert message.startswith("a.tar!x.cif.gz: ")
    assert "\n" not in message
    return message


def packings(content: bytes) -> dict[str, bytes]:
    middle = len(content) // 2
    pack = zstandard.ZstdCompressor().compress
    stream = zstandard.ZstdCompressor().compressobj()
    return {
        "gzip": gzip.compress(content),
        "gzip in members": gzip.compress(content[:middle]) + gzip.compress(content[middle:]),
        "gzip with padding": gzip.compress(content) + b"\0" * 512,
        "zstandard": pack(content),
        "zstandard in frames": pack(content[:middle]) + pack(content[middle:]),
        "zstandard of unknown size": stream.compress(content) + stream.flush(),
    }


def test_every_packing_gives_the_same_chains(content: bytes) -> None:
    for name, packed in packings(content).items():
        assert coords(packed) == coords(content), name


def test_packed_files_are_read_from_disk(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.cif.zst"
    path.write_bytes(packings(content)["zstandard"])
    assert len(read_backbones(path)[0]) == 70


def test_the_limit_is_that_of_the_expanded_size(content: bytes) -> None:
    for packed in (content, *packings(content).values()):
        assert coords(packed, max_bytes=len(content)) == coords(content)
        message = reason(packed, max_bytes=len(content) - 1)
        assert f"holds more than {len(content) - 1:,} bytes" in message


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_a_bomb_costs_no_more_than_the_limit(pack, tmp_path: Path) -> None:
    import tracemalloc

    bomb = pack(b"data_x\n" + bytes(100_000_000))
    assert len(bomb) < 400_000
    tracemalloc.start()
    message = reason(bomb, max_bytes=1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "which is the limit" in message
    assert peak < 60_000_000


def test_data_that_stop_or_are_damaged(content: bytes) -> None:
    for name, packed in packings(content).items():
        if "padding" not in name:
            assert "ends too early" in reason(packed[:-20]), name
    packed = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(content))
    packed[200:220] = b"\xff" * 20
    assert "the zstandard data is damaged" in reason(bytes(packed))
    packed = bytearray(packings(content)["gzip"])
    packed[200:220] = b"\xff" * 20
    assert "the gzip data is damaged" in reason(bytes(packed))
    assert "ends too early" in reason(packings(content)["zstandard"][:4])
    assert "holds an empty file" in reason(zstandard.ZstdCompressor().compress(b""))


def test_the_standard_library_does_the_same(content: bytes, monkeypatch) -> None:
    import zlib

    monkeypatch.setattr(unpacking, "_inflater", zlib)
    test_every_packing_gives_the_same_chains(content)
    test_the_limit_is_that_of_the_expanded_size(content)
    test_data_that_stop_or_are_damaged(content)


def test_zstandard_without_its_package(content: bytes, monkeypatch) -> None:
    def absent(*_arguments: object, **_options: object) -> None:
        msg = "needs the package; pip install 'provq[archives]'"
        raise MissingExtraError(msg)

    monkeypatch.setattr(unpacking, "require_extra", absent)
    message = reason(packings(content)["zstandard"])
    assert "is compressed with zstandard" in message
    assert "provq[archives]" in message
