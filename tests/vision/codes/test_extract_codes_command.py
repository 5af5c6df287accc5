"""Does `extract-codes` fill a folder, report what it cannot read, and go on where it was?"""

import tarfile
from collections.abc import Callable

import pytest

from provq_vision.cli import main
from provq_vision.codes.code_set import CodeSet
from provq_vision.extraction import MARGINS, SHARD_SIZE


@pytest.fixture
def run(capsys) -> Callable[..., tuple[int, str]]:
    """Return a function that carries out one command line, and returns its code and stderr."""

    def call(*arguments: object) -> tuple[int, str]:
        try:
            code = main(["extract-codes", *map(str, arguments)])
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        assert captured.out == ""
        return code, captured.err

    return call


@pytest.fixture(scope="session")
def model(make_model, tmp_path_factory):
    """Return the folder of an untrained model of downsampling 2 and images of 16 pixels."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    make_model().save(folder, training={"image_size": 16})
    return folder


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_can_be_read_is_encoded_and_the_rest_is_a_row(run, pictures, model, tmp_path):
    out = tmp_path / "new" / "codes"
    line = (pictures, "--model", model, "-o", out, "--shard-size", 4)
    code, text = run(*line)
    assert code == 1
    row, summary = text.splitlines()
    assert row.startswith("cat/2.png: no image that can be read")
    assert summary.startswith(
        f"8 images in {out}: 3 files written, 0 kept; 20 views of 8 x 8 codes each, of "
        "16 x 16 pixels; "
    )
    assert summary.endswith(" of 16 codes used; 1 problem, listed above")
    codes = CodeSet.open(out)
    assert (len(codes), codes.views, codes.settings.margins) == (8, 20, (1.1, 1.05))
    # Once more: nothing to do, the same answer.
    again = run(*line)
    assert again == (1, text.replace("3 files written, 0 kept", "0 files written, 3 kept"))


def test_parts_fill_one_folder(run, pictures, model, tmp_path):
    (pictures / "cat" / "2.png").unlink()
    options = ("--model", model, "--margins", "1.1", "--shard-size", 3)
    assert run(pictures, *options, "-o", tmp_path / "single")[0] == 0
    for part in ("2/2", "1/2"):
        code, text = run(pictures, *options, "-o", tmp_path / "out", "--shard", part)
        assert code == 0
        assert f"(part {part[0]} of 2): " in text
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "single")
    assert CodeSet.open(tmp_path / "out").views == 10


def test_the_central_crop_has_no_margins(run, pictures, model, tmp_path):
    out = tmp_path / "out"
    line = (pictures, "--model", model, "-o", out, "--crops", "center", "--size", 12)
    code, text = run(*line, "--margins", "1.1")
    assert code == 2
    assert "--margins" in text
    assert not out.exists()
    assert run(*line)[0] == 1
    codes = CodeSet.open(out)
    assert (codes.views, codes.grid, codes.image_size) == (1, 6, 12)


def test_other_settings_are_refused_and_said(run, pictures, model, tmp_path):
    line = (pictures, "--model", model, "-o", tmp_path / "out")
    run(*line, "--crops", "center")
    before = bytes_of(tmp_path / "out")
    code, text = run(*line, "--margins", "1.2")
    assert code == 2
    assert "holds other codes (margins was [], is [1.2])" in text
    assert bytes_of(tmp_path / "out") == before


@pytest.mark.parametrize("part", ["3/2", "0/2", "-1/2", "1", "a/b", "0/0", "1/2/3", "", "²/3"])
def test_a_part_that_is_none_ends_with_2(part, run, tmp_path):
    code, text = run("x", "--model", "m", "-o", tmp_path / "out", f"--shard={part}")
    assert code == 2
    assert "expected I/N with 1 <= I <= N" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--margins", "0.5"), "margins: expected numbers of at least 1"),
        (("--margins", "nan"), "margins: expected numbers of at least 1"),
        (("--shard-size", "0"), "shard_size: expected an integer from 1"),
        (("--size", "13"), "expected a multiple of 2 pixels"),
        (("--split", "val"), "val"),
        (("--device", "nonsense"), "device 'nonsense': cannot be used"),
    ],
)
def test_what_cannot_be_carried_out_ends_with_2(options, message, run, pictures, model, tmp_path):
    code, text = run(pictures, "--model", model, "-o", tmp_path / "out", *options)
    assert code == 2
    assert message in text
    assert not (tmp_path / "out").exists()


def test_help_shows_the_defaults_of_the_extraction(capsys):
    with pytest.raises(SystemExit):
        main(["extract-codes", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert f"(default: {' '.join(map(str, MARGINS))})" in text
    assert f"(default: {SHARD_SIZE})" in text


def test_real_images_of_an_archive_have_their_classes(run, shared_data, model, tmp_path):
    archive = shared_data / "images" / "tiny_imagenet_100.tar"
    if not archive.is_file():
        pytest.skip(f"no archive of real images at {archive}")
    with tarfile.open(archive) as source, tarfile.open(tmp_path / "few.tar", "w") as few:
        members = (member for member in source if member.isfile())
        for _ in range(5):
            member = next(members)
            few.addfile(member, source.extractfile(member))
    code, text = run(tmp_path / "few.tar", "--model", model, "-o", tmp_path / "out")
    assert code == 0, text
    assert text.startswith("5 images in ")
    codes = CodeSet.open(tmp_path / "out")
    assert [name.split("/")[0] for name in codes.names] == [
        codes.classes[label] for label in codes.labels
    ]
