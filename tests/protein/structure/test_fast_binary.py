"""Are the encodings of BinaryCIF undone as biotite does, and hostile files refused unexpanded."""

import random
from pathlib import Path

import msgspec
import numpy as np
import pytest
from biotite.structure.io.pdbx import (
    BinaryCIFData,
    ByteArrayEncoding,
    DeltaEncoding,
    FixedPointEncoding,
    IntegerPackingEncoding,
    IntervalQuantizationEncoding,
    RunLengthEncoding,
    StringArrayEncoding,
)

from provq_protein.errors import StructureError
from provq_protein.structure import contents
from provq_protein.structure.bcif_decoding import decode_column
from provq_protein.structure.bcif_tree import Data
from provq_protein.structure.cif_columns import UnusualLayoutError, Words
from provq_protein.structure.reading import backbones_of_bytes

WALKS = ("constant", "few steps", "many runs", "noise", "long runs of steps")


def walk(kind: str, generator: random.Random) -> np.ndarray:
    """Return integers that change as those of files do."""
    size = generator.choice((1, 2, 127, 128, 255, 256, 400))
    if kind == "constant":
        return np.full(size, generator.choice((-1, 0, 1, 300)), dtype=np.int32)
    if kind == "noise":
        wide = generator.choice((3, 126, 127, 128, 255, 300, 40000))
        return np.array([generator.randint(-wide, wide) for _ in range(size)], dtype=np.int32)
    if kind == "long runs of steps":
        return np.arange(size, dtype=np.int32) * generator.choice((1, -1, 7))
    often = 100 if kind == "few steps" else 4
    steps = [generator.choice((1, 1, -1, 130)) * (generator.randrange(often) == 0)
             for _ in range(size)]  # fmt: skip
    return np.cumsum(steps).astype(np.int32)


def as_in_a_file(values: np.ndarray, encodings: list) -> Data:
    """Return what biotite writes of an array, unpacked."""
    written = BinaryCIFData(values, encodings).serialize()
    return msgspec.msgpack.decode(msgspec.msgpack.encode(_plain(written)), type=Data)


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value


@pytest.mark.parametrize("kind", WALKS)
def test_integers_come_back(kind: str) -> None:
    generator = random.Random(kind)
    for _ in range(12):
        values = walk(kind, generator)
        for steps in ([DeltaEncoding, RunLengthEncoding], [RunLengthEncoding], [DeltaEncoding], []):
            made = [step() for step in steps]
            for width in (1, 2):
                data = as_in_a_file(
                    values, [*made, IntegerPackingEncoding(width), ByteArrayEncoding()]
                )
                assert np.array_equal(decode_column(data), values), (kind, steps, width)


@pytest.mark.parametrize("kind", ["constant", "few steps", "many runs"])
def test_text_comes_back(kind: str) -> None:
    generator = random.Random(kind)
    for _ in range(12):
        names = np.array(["", "N", "CA", "C", "OXT", "long name"])
        words = names[walk(kind, generator) % len(names)]
        data = as_in_a_file(words, [StringArrayEncoding()])
        found = decode_column(data)
        assert isinstance(found, Words)
        assert found.array().tolist() == words.tolist()


@pytest.mark.parametrize("count", [0, 3])
def test_a_code_below_zero_is_no_text(count: int) -> None:
    codes = np.array([-1] + [0, 1] * count, dtype=np.int32)
    data = as_in_a_file(np.array(["a", "b"]), [StringArrayEncoding()])
    data.data = memoryview(codes.tobytes())
    data.encoding[0].dataEncoding = msgspec.convert([{"kind": "ByteArray", "type": 3}], list)
    data = msgspec.msgpack.decode(msgspec.msgpack.encode(data), type=Data)
    assert decode_column(data).array().tolist() == [""] + ["a", "b"] * count
    for wrong in (-2, 2, 2**31 - 1, -(2**31)):
        codes[0] = wrong
        data.data = memoryview(codes.tobytes())
        with pytest.raises(UnusualLayoutError):
            decode_column(data)


@pytest.mark.parametrize(
    "encoding",
    [FixedPointEncoding(factor=1000), IntervalQuantizationEncoding(-1.0, 1.0, 100)],
    ids=["fixed point", "quantized"],
)
@pytest.mark.parametrize("width", [1, 2])
def test_decimals_are_those_of_biotite(encoding, width: int) -> None:
    values = np.linspace(-0.05, 0.05, 101)
    steps = [encoding, IntegerPackingEncoding(width), ByteArrayEncoding()]
    written = BinaryCIFData(values, steps).serialize()
    found = decode_column(as_in_a_file(values, steps))
    expected = BinaryCIFData.deserialize(written).array
    assert found.dtype == expected.dtype
    assert found.tobytes() == expected.tobytes()


@pytest.fixture
def tree(repo_root: Path) -> dict:
    """Return an ordinary file, unpacked."""
    content = (repo_root / "data" / "structures" / "4zhl.bcif").read_bytes()
    return msgspec.msgpack.decode(content)


def category(tree: dict, name: str) -> dict:
    """Return a category of the first block."""
    return next(one for one in tree["dataBlocks"][0]["categories"] if one["name"] == f"_{name}")


def make_bomb(tree: dict, name: str = "auth_atom_id") -> None:
    """Let a column of the atoms stand for far more rows than the file has bytes."""
    sites = category(tree, "atom_site")["columns"]
    column = next(one for one in sites if one["name"] == name)
    runs = {"kind": "RunLength", "srcType": 3, "srcSize": 1 << 27}
    plain = {"kind": "ByteArray", "type": 3}
    column["data"] = {"data": np.array([1, 1 << 27], "<i4").tobytes(), "encoding": [runs, plain]}


@pytest.mark.parametrize("name", ["Cartn_x", "auth_seq_id", "auth_atom_id"])
def test_a_bomb_is_refused_in_any_column_that_is_known(tree: dict, name: str) -> None:
    make_bomb(tree, name)
    with pytest.raises(StructureError, match=f"column '{name}' declares 134217728 values"):
        backbones_of_bytes(msgspec.msgpack.encode(tree), source="x.bcif")


@pytest.mark.parametrize("columns", [[{}], [7], None, {"name": "x"}])
def test_damage_elsewhere_hides_no_bomb(tree: dict, columns: object) -> None:
    make_bomb(tree, "Cartn_x")
    tree["dataBlocks"].append({"header": "more", "categories": []})
    tree["dataBlocks"][0]["categories"].insert(
        0, {"name": "_damaged", "columns": columns, "rowCount": 1}
    )
    with pytest.raises(StructureError, match="column 'Cartn_x' declares 134217728 values"):
        backbones_of_bytes(msgspec.msgpack.encode(tree), source="x.bcif")


def test_values_within_values_are_refused_as_damage(tree: dict) -> None:
    make_bomb(tree, "Cartn_x")
    deep = msgspec.Raw(b"\x91" * 200_000 + b"\xc0")
    content = msgspec.msgpack.encode({"deep": deep} | tree)
    with pytest.raises(StructureError, match="cannot be read as BinaryCIF"):
        backbones_of_bytes(content, source="x.bcif")


@pytest.mark.parametrize("place", ["other category", "other column", "block", "file"])
def test_what_is_not_read_may_be_anything(tree: dict, place: str, monkeypatch) -> None:
    odd = {"name": "odd", "data": {"x": [1.5, None]}, "mask": "none"}
    if place == "other category":
        category(tree, "entity")["columns"] = [odd]
    elif place == "other column":
        category(tree, "atom_site")["columns"].append(odd)
    elif place == "block":
        tree["dataBlocks"][0]["odd"] = odd
    else:
        tree["odd"] = odd
    monkeypatch.setattr(contents, "_general_table", None)
    assert len(backbones_of_bytes(msgspec.msgpack.encode(tree), source="x.bcif")) == 2
