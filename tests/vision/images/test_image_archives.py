"""Tar archives and WebDatasets of images: read from any thread, and never half."""

import gc
import gzip
import io
import tarfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from provq_protein.errors import ConfigError, ImageError
from provq_vision.images import places
from provq_vision.images.listing import open_images

FILES = {f"cat/{i:02d}.png": bytes([i]) * (i + 1) * 100 for i in range(40)}
SAMPLES = {
    "s/000.jpg": b"A",
    "s/000.cls": b"7\n",
    "s/000.json": b"{}",
    "s/001.png": b"B",
    "s/001.seg.png": b"mask",
    "s/001.cls": b"12",
    "s/002.webp": b"C",
}


def test_threads_read_the_right_bytes(tmp_path, write_tar):
    images = open_images(write_tar(tmp_path / "a.tar", FILES))
    wanted = list(range(40)) * 5
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(images.read, wanted))
    assert found == [FILES[images.names[i]] for i in wanted]


def test_more_archives_than_may_be_open_are_read_all_the_same(tmp_path, write_tar, monkeypatch):
    monkeypatch.setattr(places, "_MOST_OPEN", 2)
    for i in range(5):
        write_tar(tmp_path / f"{i}.tar", {f"cat/{i}.png": b"%d" % i})
    images = open_images(tmp_path)
    assert [images.read(i) for i in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
    opened = images._archives._open
    assert len(opened) == 2
    del images
    gc.collect()
    assert opened == {}, "an archive stays open after the set is gone"


def test_an_archive_that_shrinks_after_it_was_opened_is_noticed(tmp_path, write_tar):
    path = write_tar(tmp_path / "a.tar", FILES)
    images = open_images(path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(ImageError, match=r"cat/39\.png: .*0 of 4000 bytes.*cut short or replaced"):
        images.read(39)


@pytest.mark.parametrize("length", [0, 100, 512, 600, 1024, 5000, 5120, 30_000])
def test_an_archive_cut_anywhere_is_refused(tmp_path, write_tar, length):
    path = write_tar(tmp_path / "a.tar", FILES)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ImageError, match=r"a\.tar: (cannot be read as a tar|damaged or cut short)"):
        open_images(path)


def test_an_archive_cut_between_two_members_is_refused(tmp_path, write_tar):
    path = write_tar(tmp_path / "a.tar", {"1.png": b"x" * 512, "2.png": b"y" * 512})
    path.write_bytes(path.read_bytes()[:1024])
    with pytest.raises(ImageError, match="cut short at byte 1024"):
        open_images(path)


def test_damaged_bytes_never_lead_to_anything_but_a_refusal(tmp_path, write_tar):
    path = write_tar(tmp_path / "a.tar", {"cat/1.png": b"x" * 700, "dog/2.png": b"y" * 10})
    whole = path.read_bytes()[:4096]
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        header = int(generator.choice([0, 1536]))
        for place in generator.integers(header, header + 512, size=4):
            damaged[place] = int(generator.integers(256))
        path.write_bytes(damaged)
        try:
            open_images(path)
        except (ImageError, ConfigError):
            refused += 1
    assert refused > 250


def test_a_negative_size_does_not_send_the_reader_round_in_circles(tmp_path):
    def member(name: str, size: bytes) -> bytes:
        header = bytearray(tarfile.TarInfo(name).tobuf(tarfile.USTAR_FORMAT))
        header[124:136] = size
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        return bytes(header)

    back = b"\xff" + (-1024).to_bytes(11, "big", signed=True)
    path = tmp_path / "a.tar"
    empty = [member(f"{i}.png", b"%011o\0" % 0) for i in range(2)]
    path.write_bytes(b"".join(empty) + member("back.png", back) + bytes(1024))
    with pytest.raises(ImageError, match=r"a\.tar: damaged at byte 1024"):
        open_images(path)


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz"])
def test_a_compressed_archive_is_refused_with_what_to_do(tmp_path, write_tar, name):
    data = write_tar(tmp_path / "plain.tar", FILES).read_bytes()
    path = tmp_path / name
    path.write_bytes(gzip.compress(data))
    with pytest.raises(ImageError, match=r"is compressed; .*decompress it once"):
        open_images(path)


def test_a_link_to_an_image_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("cat/1.png")
        member.type, member.linkname = tarfile.SYMTYPE, "cat/2.png"
        archive.addfile(member)
    with pytest.raises(ImageError, match=r"cat/1\.png is a link or sparse; pack it"):
        open_images(path)


def test_a_member_that_is_there_twice_is_refused(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("cat/1.png"), io.BytesIO())
    with pytest.raises(ImageError, match=r"two members are called cat/1\.png"):
        open_images(path)


def test_hidden_members_are_passed_over(tmp_path, write_tar):
    files = {"cat/1.png": b"", "cat/._1.png": b"", "__MACOSX/cat/1.png": b"", ".x/2.png": b""}
    assert open_images(write_tar(tmp_path / "a.tar", files)).names == ("cat/1.png",)


def test_numbered_samples_keep_their_numbers_and_only_their_image(tmp_path, write_tar):
    images = open_images(write_tar(tmp_path / "a.tar", SAMPLES))
    assert images.names == ("s/000.jpg", "s/001.png", "s/002.webp")
    assert images.labels.tolist() == [7, 12, -1]
    assert images.classes == ()
    assert images.read(1) == b"B"


def test_samples_with_class_names_are_numbered_in_sorted_order(tmp_path, write_tar):
    members = {"0.jpg": b"", "0.cls": b"zebra", "1.jpg": b"", "1.cls": b"7"}
    images = open_images(write_tar(tmp_path / "a.tar", members))
    assert (images.classes, images.labels.tolist()) == (("7", "zebra"), [1, 0])


def test_shards_in_a_folder_are_one_set(tmp_path, write_tar):
    for number in (1, 0):
        members = {"000.jpg": b"%d" % number, "000.cls": b"%d" % (5 + number)}
        write_tar(tmp_path / f"shard-{number}.tar", members)
    images = open_images(tmp_path)
    assert images.names == ("shard-0/000.jpg", "shard-1/000.jpg")
    assert images.labels.tolist() == [5, 6]
    assert [images.read(0), images.read(1)] == [b"0", b"1"]


def test_shards_may_lie_in_split_folders(tmp_path, write_tar):
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        write_tar(tmp_path / split / "0.tar", {"0.jpg": split.encode(), "0.cls": b"1"})
    assert open_images(tmp_path, split="val").read(0) == b"val"


def test_shards_in_split_folders_are_never_mixed_unasked(tmp_path, write_tar):
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        write_tar(tmp_path / split / f"{split}.tar", {f"{split}.jpg": b"", f"{split}.cls": b"1"})
    with pytest.raises(ConfigError, match="holds the splits train, val; say which"):
        open_images(tmp_path)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"0.jpg": b"", "0.cls": b" "}, r"\.cls member is empty"),
        ({"0.jpg": b"", "0.cls": b"9" * 30}, "class number 9+; expected less than"),
        ({"0.jpg": b"", "0.cls": b"x" * 2000}, r"\.cls member has 2000 bytes; expected a class"),
        ({"0.jpg": b"", "0.png": b"", "0.cls": b"1"}, r"0\.jpg and 0\.png are one sample"),
    ],
)
def test_a_sample_without_one_image_and_class_is_refused(tmp_path, write_tar, members, message):
    with pytest.raises(ImageError, match=message):
        open_images(write_tar(tmp_path / "a.tar", members))


def test_a_folder_of_images_and_archives_is_refused(tmp_path, write_tar, write_folder):
    write_folder(tmp_path, {"cat/1.png": b""})
    write_tar(tmp_path / "a.tar", FILES)
    with pytest.raises(ConfigError, match=r"holds images \(cat/1\.png\) and archives \(a\.tar\)"):
        open_images(tmp_path)
