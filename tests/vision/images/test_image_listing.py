"""Sets of images: what the layouts of folders and files mean, and what is refused."""

import numpy as np
import pytest

from provq_protein.errors import ConfigError, ImageError
from provq_vision.images.listing import open_images

CLASSES = {"cat/2.png": b"c2", "cat/1.JPEG": b"c1", "dog/1.jpg": b"d1"}
SPLITS = {
    "train/cat/1.png": b"t",
    "train/dog/1.png": b"u",
    "val/cat/1.png": b"v",
    "test/dog/9.png": b"w",
}


def test_class_folders_give_sorted_names_labels_and_bytes(tmp_path, write_folder):
    images = open_images(write_folder(tmp_path, CLASSES))
    assert images.names == ("cat/1.JPEG", "cat/2.png", "dog/1.jpg")
    assert images.classes == ("cat", "dog")
    assert images.labels.dtype == np.int64
    assert images.labels.tolist() == [0, 0, 1]
    assert [images.read(i) for i in range(len(images))] == [b"c1", b"c2", b"d1"]


def test_a_folder_and_an_archive_of_it_are_the_same_set(tmp_path, write_folder, write_tar):
    folder = open_images(write_folder(tmp_path / "folder", CLASSES))
    archive = open_images(write_tar(tmp_path / "a.tar", CLASSES))
    assert (folder.names, folder.classes) == (archive.names, archive.classes)
    assert folder.labels.tolist() == archive.labels.tolist()
    assert folder.manifest() == archive.manifest()
    assert folder.content_hash() == archive.content_hash()


@pytest.mark.parametrize("top", ["", "tiny/", "./tiny/"])
@pytest.mark.parametrize(
    ("split", "names"), [("train", ("cat/1.png", "dog/1.png")), ("test", ("dog/9.png",))]
)
def test_a_split_is_chosen_below_one_common_folder(
    tmp_path, write_folder, write_tar, top, split, names
):
    files = {top + name: data for name, data in SPLITS.items()}
    for path in (
        write_folder(tmp_path / "folder", files),
        write_tar(tmp_path / "a.tar", files),
    ):
        assert open_images(path, split=split).names == names


def test_several_splits_are_never_mixed_unasked(tmp_path, write_folder):
    with pytest.raises(ConfigError, match="holds the splits test, train, val; say which"):
        open_images(write_folder(tmp_path, SPLITS))


def test_a_class_may_be_called_train_beside_others(tmp_path, write_folder):
    images = open_images(write_folder(tmp_path, {"train/1.png": b"", "car/1.png": b""}))
    assert images.classes == ("car", "train")


def test_class_folders_called_by_numbers_are_names(tmp_path, write_folder):
    images = open_images(write_folder(tmp_path, {"9/1.png": b"", "10/1.png": b""}))
    assert (images.classes, images.labels.tolist()) == (("10", "9"), [0, 1])


def test_a_single_class_folder_stays_a_class(tmp_path, write_folder):
    images = open_images(write_folder(tmp_path, {"cat/1.png": b""}))
    assert (images.names, images.classes) == (("cat/1.png",), ("cat",))


def test_images_without_class_folders_have_no_label(tmp_path, write_folder):
    images = open_images(write_folder(tmp_path, {"b.png": b"", "a.webp": b"", "dog/c.png": b""}))
    assert images.names == ("a.webp", "b.png", "dog/c.png")
    assert images.labels.tolist() == [-1, -1, 0]


def test_every_named_suffix_in_any_case_is_an_image_and_others_are_not(tmp_path, write_folder):
    suffixes = ["jpg", "JPEG", "png", "webp", "BMP", "ppm", "tif", "Tiff"]
    files = {f"{i}.{suffix}": b"" for i, suffix in enumerate(suffixes)}
    others = {"note.txt": b"", ".hidden.png": b"", "__MACOSX/1.png": b"", "._1.jpg": b"", "x": b""}
    assert len(open_images(write_folder(tmp_path, files | others))) == len(suffixes)


def test_image_files_are_a_set_whose_order_is_that_of_the_names(tmp_path, write_folder):
    write_folder(tmp_path, {"x/b.png": b"1", "y/a.png": b"2"})
    images = open_images([tmp_path / "x" / "b.png", str(tmp_path / "y" / "a.png")])
    assert images.names == ("a.png", "b.png")
    assert images.read(0) == b"2"


@pytest.mark.parametrize("deep", [False, True])
def test_equal_names_of_several_sources_are_told_apart(tmp_path, write_folder, deep):
    below = "same" if deep else ""
    one = write_folder(tmp_path / "one" / below, {"cat/1.png": b"1"})
    two = write_folder(tmp_path / "two" / below, {"cat/1.png": b"2"})
    images = open_images([two, one])
    assert [name.endswith("cat/1.png") for name in images.names] == [True, True]
    assert (images.read(0), images.read(1)) == (b"1", b"2")
    assert images.classes == ("cat",)


def test_the_same_path_twice_is_refused(tmp_path, write_folder):
    write_folder(tmp_path, {"a.png": b""})
    with pytest.raises(ImageError, match=r"a\.png: 2 images have this name; give each path once"):
        open_images([tmp_path, tmp_path])


def test_a_link_back_to_a_folder_above_is_not_followed_forever(tmp_path, write_folder):
    write_folder(tmp_path, {"cat/1.png": b""})
    (tmp_path / "cat" / "up").symlink_to(tmp_path, target_is_directory=True)
    assert open_images(tmp_path).names == ("cat/1.png",)


def test_a_link_to_nothing_is_listed_and_reading_it_says_what_is_wrong(tmp_path, write_folder):
    write_folder(tmp_path, {"a.png": b"1"})
    (tmp_path / "b.png").symlink_to(tmp_path / "gone.png")
    images = open_images(tmp_path)
    assert images.names == ("a.png", "b.png")
    with pytest.raises(ImageError, match=r"b\.png: .*No such file"):
        images.read(1)


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ({}, {}, r"holds no image; expected \.jpg, .* or plain \.tar files"),
        ({"note.txt": b""}, {}, "holds no image"),
        ({"cat/1.png": b""}, {"split": "val"}, "no folder 'val' for the split; its folders.*cat"),
        ({"1.png": b""}, {"split": "val"}, "its folders are: none"),
        ({"cat/1.png": b""}, {"split": "valid"}, "split: expected one of train, val, test"),
    ],
)
def test_what_holds_no_such_images_is_refused(tmp_path, write_folder, files, options, message):
    tmp_path.joinpath("set").mkdir()
    with pytest.raises(ConfigError, match=message):
        open_images(write_folder(tmp_path / "set", files), **options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gone", {}, r"gone: No such file or directory; expected images at"),
        ("note.txt", {}, "neither a folder, nor a .tar archive"),
        ("a.png", {"split": "train"}, "is one image; split 'train' asks for"),
    ],
)
def test_a_path_that_is_no_set_is_refused(tmp_path, write_folder, name, options, message):
    write_folder(tmp_path, {"note.txt": b"", "a.png": b""})
    with pytest.raises(ConfigError, match=message):
        open_images(tmp_path / name, **options)


def test_no_path_is_refused():
    with pytest.raises(ConfigError, match="no path of images is given"):
        open_images([])


def test_a_selection_keeps_order_labels_and_bytes(tmp_path, write_folder):
    part = open_images(write_folder(tmp_path, CLASSES)).select([2, 0])
    assert part.names == ("cat/1.JPEG", "dog/1.jpg")
    assert (part.classes, part.labels.tolist()) == (("cat", "dog"), [0, 1])
    assert part.read(1) == b"d1"


@pytest.mark.parametrize("indices", [[-1], [3], [0, 0]])
def test_an_impossible_selection_is_refused(tmp_path, write_folder, indices):
    with pytest.raises(ConfigError, match=r"of a set of 3 images|selected twice"):
        open_images(write_folder(tmp_path, CLASSES)).select(indices)


def test_some_classes_are_numbered_anew_and_images_without_one_left_out(tmp_path, write_folder):
    files = {**CLASSES, "emu/1.png": b"e", "none.png": b"n"}
    part = open_images(write_folder(tmp_path, files)).of_classes(["emu", "dog"])
    assert part.names == ("dog/1.jpg", "emu/1.png")
    assert (part.classes, part.labels.tolist()) == (("dog", "emu"), [0, 1])
    assert part.read(1) == b"e"


@pytest.mark.parametrize("classes", [["cow"], []])
def test_unknown_classes_are_refused(tmp_path, write_folder, classes):
    with pytest.raises(ConfigError, match="no class"):
        open_images(write_folder(tmp_path, CLASSES)).of_classes(classes)


def test_the_hash_changes_with_a_name_and_with_a_size(tmp_path, write_folder):
    hashes = {
        open_images(write_folder(tmp_path / str(i), files)).content_hash()
        for i, files in enumerate(
            [{"a.png": b"1"}, {"b.png": b"1"}, {"a.png": b"12"}, {"a.png": b"1", "b.png": b""}]
        )
    }
    assert len(hashes) == 4


def test_the_manifest_has_the_hash_of_the_bytes(tmp_path, write_folder):
    row = open_images(write_folder(tmp_path, {"cat/1.png": b"abc"})).manifest()[0]
    # The test vector of FIPS 180-2 for "abc".
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert row == ("cat/1.png", 0, digest)


def test_real_tiny_imagenet_is_100_classes(shared_data):
    path = shared_data / "images" / "tiny_imagenet_100.tar"
    if not path.is_file():
        pytest.skip(f"no {path}")
    images = open_images(path, split="val")
    assert len(images.classes) == 100
    assert len(set(np.bincount(images.labels))) == 1
    assert images.read(0).startswith(b"\xff\xd8")
