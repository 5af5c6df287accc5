"""How does a valid file become one that nobody meant to write?"""

import copy
import random
from collections.abc import Callable, Sequence
from typing import Any

WORDS = (
    b"", b".", b"?", b"-1", b"0", b"1e400", b"-1e400", b"nan", b"inf", b"99999999999999999999",
    b"2147483648", b"-2147483649", b"0x1F", b"1_000", b"''", b"'", b'"', b"loop_", b"data_",
    b"data_x", b"#", b";", b"_atom_site.id", b"HETATM", b"A000", b"zzzz", b"\xff", b"\x00",
    b"\xc3\xa9", b"ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 4, b"NA", b"TER", b"polypeptide(L)", b"1.2.3",
    b"--1", b"+1", b"1e5", b"9" * 400, b"w" * 5000,
)  # fmt: skip
"""Words that parsers trip over."""

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 127, 255, 256, 65536, 2**31 - 1, 2**31, -(2**31), 2**32, 2**40,
    2**53, 2**63 - 1, 1.5, -0.0, 1e308, float("nan"), float("inf"), "", "A", "x" * 300, "1", "nan",
    "\x00", "\ud7ff", "../../x", [], [0], [1, 2, 3], {}, {"kind": "x"}, b"", b"\x00\x01",
)  # fmt: skip
"""Values of every type that a tree may hold."""

_SMALL_INTEGERS = (0, 1, 0x7F, 0x80, 0xFE, 0xFF)


def any_bytes(content: bytes, rng: random.Random) -> bytes:
    """Return content after a few changes of bytes, whatever it is."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        rng.choice(_BYTE_CHANGES)(data, rng)
    return bytes(data)


def _flip(data: bytearray, rng: random.Random) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set(data: bytearray, rng: random.Random) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice((*_SMALL_INTEGERS, rng.randrange(256)))


def _number(data: bytearray, rng: random.Random) -> None:
    width = rng.choice((2, 4, 8))
    if len(data) >= width:
        place = rng.randrange(len(data) - width + 1)
        value = rng.choice((0, 1, 2 ** (8 * width) - 1, 2 ** (8 * width - 1), rng.getrandbits(20)))
        order = rng.choice(("little", "big"))
        data[place : place + width] = (value % 2 ** (8 * width)).to_bytes(width, order)


def _truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _span(data: bytearray, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 2, 4, 16, 64, 256)))


def _delete(data: bytearray, rng: random.Random) -> None:
    start, stop = _span(data, rng)
    del data[start:stop]


def _repeat(data: bytearray, rng: random.Random) -> None:
    start, stop = _span(data, rng)
    data[start:start] = data[start:stop] * rng.choice((1, 2, 20))


def _insert(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(data) + 1)
    data[place:place] = rng.choice((rng.randbytes(rng.randrange(9)), rng.choice(WORDS)))


def _copy_elsewhere(data: bytearray, rng: random.Random) -> None:
    start, stop = _span(data, rng)
    place = rng.randrange(len(data) + 1)
    data[place : place + stop - start] = data[start:stop]


_BYTE_CHANGES: Sequence[Callable[[bytearray, random.Random], None]] = (
    _flip, _flip, _set, _number, _truncate, _delete, _repeat, _insert, _copy_elsewhere,
)  # fmt: skip


def any_text(content: bytes, rng: random.Random) -> bytes:
    """Return text after changes of its lines, words or encoding."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        content = rng.choice(_TEXT_CHANGES)(content, rng)
    return content


def _lines_moved(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    place = rng.randrange(len(lines))
    count = rng.choice((1, 1, 2, 5, 20))
    taken = lines[place : place + count]
    what = rng.randrange(4)
    if what == 0:
        del lines[place : place + count]
    elif what == 1:
        lines[place:place] = taken * rng.choice((1, 1, 3, 30))
    elif what == 2:
        del lines[place : place + count]
        other = rng.randrange(len(lines) + 1)
        lines[other:other] = taken
    else:
        lines.insert(place, rng.choice((*WORDS, *lines)))
    return b"\n".join(lines)


def _word_changed(content: bytes, rng: random.Random) -> bytes:
    lines = content.split(b"\n")
    place = rng.randrange(len(lines))
    words = lines[place].split(b" ")
    index = rng.randrange(len(words))
    what = rng.randrange(4)
    if what == 0:
        words[index] = rng.choice(WORDS)
    elif what == 1:
        del words[index]
    elif what == 2:
        words.insert(index, words[rng.randrange(len(words))])
    else:
        other = rng.randrange(len(words))
        words[index], words[other] = words[other], words[index]
    lines[place] = b" ".join(words)
    return b"\n".join(lines)


def _column_changed(content: bytes, rng: random.Random) -> bytes:
    """Write a word over the same columns of one line or of all alike."""
    lines = content.split(b"\n")
    start, word = rng.randrange(80), rng.choice(WORDS)[:12]
    first = lines[rng.randrange(len(lines))][:4]
    everywhere = rng.random() < 0.3
    chosen = [index for index, line in enumerate(lines) if line[:4] == first and len(line) > start]
    for index in chosen if everywhere else chosen[:1]:
        line = lines[index]
        lines[index] = line[:start] + word + line[start + len(word) :]
    return b"\n".join(lines)


def _encoded_otherwise(content: bytes, rng: random.Random) -> bytes:
    what = rng.randrange(8)
    if what == 0:
        return b"\xef\xbb\xbf" + content
    if what == 1:
        return content.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b"\x0b", b"\x85")))
    if what == 2:
        return content.decode("latin-1").encode(rng.choice(("utf-16", "utf-8", "utf-32")))
    if what == 3:
        return content.replace(b" ", rng.choice((b"\t", b"  ", b"\x00", b"\xa0")))
    if what == 4:
        return content.rstrip(b"\n")
    if what == 5:
        return content.swapcase()
    if what == 6:
        return content + content
    return content + rng.choice((b"\x00" * 10, b"\n" * 50, b"data_second\n", b"\x1a"))


_TEXT_CHANGES: Sequence[Callable[[bytes, random.Random], bytes]] = (
    _lines_moved, _lines_moved, _word_changed, _word_changed, _word_changed, _column_changed,
    _encoded_otherwise, any_bytes,
)  # fmt: skip


def any_tree(tree: Any, rng: random.Random, *, times: int | None = None) -> Any:
    """Return nested dicts and lists after changes of values, types, keys and lengths."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 2, 3)) if times is None else times):
        tree = _one_node(tree, rng)
    return tree


def _one_node(tree: Any, rng: random.Random) -> Any:
    holder, key = None, None
    node = tree
    # Down a random way; deep trees have most of their nodes at the bottom.
    while isinstance(node, dict | list) and node and rng.random() < 0.93:
        holder = node
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        node = holder[key]
    if holder is None:
        return rng.choice(VALUES)
    _change(holder, key, node, rng)
    return tree


def _change(holder: Any, key: Any, node: Any, rng: random.Random) -> None:
    what = rng.randrange(7)
    if what == 0:
        del holder[key]
    elif what == 1 and isinstance(node, bytes):
        holder[key] = any_bytes(node, rng)
    elif what == 2 and isinstance(node, str):
        holder[key] = any_bytes(node.encode(), rng).decode("latin-1")
    elif what == 3 and isinstance(node, int | float):
        holder[key] = rng.choice((node + 1, node - 1, -node, node * 1000, float(node), str(node)))
    elif what == 4:
        other = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
        holder[key], holder[other] = holder[other], node
    elif what == 5 and isinstance(holder, list):
        holder[key:key] = [copy.deepcopy(node)] * rng.choice((1, 2, 50))
    elif what == 5:
        holder[rng.choice(("x", f"{key}x", ""))] = copy.deepcopy(node)
    else:
        holder[key] = copy.deepcopy(rng.choice(VALUES))
