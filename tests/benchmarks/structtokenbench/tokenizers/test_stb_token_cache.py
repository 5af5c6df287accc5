"""Are tokens computed once, found again, and never silently wrong?"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from provq_protein.errors import MissingExtraError, StructureError, TokenFormatError
from provq_protein.structure.backbone import Backbone
from structtokenbench.items import ChainTokens
from structtokenbench.token_cache import TokenCache
from structtokenbench.tokenizers.controls import Shuffled


class Counting:
    """Number residues, refuse chains of 13, and count how often it is asked."""

    name = "counting"
    codebook = np.eye(50, dtype=np.float32)

    def __init__(self, fingerprint: str = "one") -> None:
        self.fingerprint = fingerprint
        self.calls = 0

    def tokenize(self, chain: Backbone) -> ChainTokens:
        self.calls += 1
        if len(chain) == 13:
            msg = "thirteen residues"
            raise StructureError(msg)
        ids = np.arange(len(chain))
        return ChainTokens(ids=ids, features=None, mask=chain.resolved.copy())


class Vectors(Counting):
    """As `Counting`, with vectors."""

    codebook = None

    def tokenize(self, chain: Backbone) -> ChainTokens:
        features = np.random.default_rng(0).normal(size=(len(chain), 3)).astype(np.float32)
        return ChainTokens(ids=None, features=features, mask=chain.resolved.copy())


@pytest.fixture
def chains(make_coords: Callable[[int, int], np.ndarray]) -> Mapping[str, Backbone]:
    lengths = {"a": 20, "b": 13, "c": 30}
    found = {key: Backbone.from_arrays(make_coords(n, n)) for key, n in lengths.items()}
    coords = make_coords(25, 1)
    coords[7] = np.nan
    return {**found, "d": Backbone.from_arrays(coords)}


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_tokens_are_computed_once_and_found_again(
    tmp_path: Path, chains: Mapping[str, Backbone]
) -> None:
    tokenizer, cache = Counting(), TokenCache(tmp_path)
    seen = []
    first = cache.tokens(tokenizer, chains, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert list(first) == ["a", "c", "d"]
    second = TokenCache(tmp_path).tokens(tokenizer, chains)
    assert tokenizer.calls == 4
    for tokens in (first, second):
        np.testing.assert_array_equal(tokens["d"].mask, chains["d"].resolved)
        np.testing.assert_array_equal(tokens["c"].ids, np.arange(30))
        assert tokens["c"].ids.dtype == np.int64
        assert "b" not in tokens
        assert [(p.id, p.reason) for p in tokens.problems] == [("b", "thirteen residues")]
    assert not [path for path in files(tmp_path) if path.suffix != ".npz"]


def test_vectors_survive_exactly(tmp_path: Path, chains: Mapping[str, Backbone]) -> None:
    tokenizer = Vectors()
    tokens = TokenCache(tmp_path).tokens(tokenizer, chains)
    np.testing.assert_array_equal(
        tokens["a"].features, tokenizer.tokenize(chains["a"]).features, strict=True
    )


def test_chains_that_are_there_already_are_not_computed_again(
    tmp_path: Path, chains: Mapping[str, Backbone]
) -> None:
    tokenizer, cache = Counting(), TokenCache(tmp_path)
    cache.tokens(tokenizer, {"x": chains["a"]})
    cache.tokens(tokenizer, chains)
    assert tokenizer.calls == 4


def test_another_tokenizer_or_chain_never_meets_old_tokens(
    tmp_path: Path, chains: Mapping[str, Backbone]
) -> None:
    cache = TokenCache(tmp_path)
    cache.tokens(Counting(), chains)
    other = Counting("two")
    cache.tokens(other, chains)
    assert other.calls == 4
    moved = Backbone.from_arrays(chains["a"].coords + 1)
    again = Counting()
    cache.tokens(again, {"a": moved})
    assert again.calls == 1


def test_an_interrupted_run_goes_on(tmp_path: Path, chains: Mapping[str, Backbone]) -> None:
    tokenizer, cache = Counting(), TokenCache(tmp_path)

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.tokens(tokenizer, chains, progress=stop)
    assert len(cache.tokens(tokenizer, chains)) == 3
    assert tokenizer.calls == 4


@pytest.mark.parametrize("damage", ["cut", "bits", "empty", "text", "other"])
def test_a_damaged_file_is_named(
    damage: str, tmp_path: Path, chains: Mapping[str, Backbone]
) -> None:
    cache = TokenCache(tmp_path)
    cache.tokens(Counting(), {"a": chains["a"]})
    (path,) = files(tmp_path)
    content = path.read_bytes()
    if damage == "other":
        np.savez(path, something=np.arange(3))
    else:
        middle = len(content) // 2
        flipped = bytes(byte ^ 255 for byte in content[middle : middle + 40])
        path.write_bytes(
            {
                "cut": content[:-30],
                "bits": content[:middle] + flipped + content[middle + 40 :],
                "empty": b"",
                "text": b"tokens",
            }[damage]
        )
    with pytest.raises(TokenFormatError, match="delete this file and run again") as caught:
        dict(cache.tokens(Counting(), {"a": chains["a"]}))
    assert str(path) in str(caught.value)


def test_a_file_of_another_chain_is_named(tmp_path: Path, chains: Mapping[str, Backbone]) -> None:
    cache = TokenCache(tmp_path)
    cache.tokens(Counting(), {"a": chains["a"]})
    (of_a,) = files(tmp_path)
    cache.tokens(Counting(), {"c": chains["c"]})
    (of_c,) = set(files(tmp_path)) - {of_a}
    of_a.replace(of_c)
    with pytest.raises(TokenFormatError, match=r"the chain has 30 residues\), got bool of shape"):
        cache.tokens(Counting(), {"c": chains["c"]})


def test_a_wrong_number_of_tokens_is_a_problem_of_that_chain(
    tmp_path: Path, chains: Mapping[str, Backbone]
) -> None:
    class OneShort(Counting):
        def tokenize(self, chain: Backbone) -> ChainTokens:
            tokens = super().tokenize(chain)
            return ChainTokens(ids=tokens.ids[1:], features=None, mask=tokens.mask)

    for _ in range(2):
        tokens = TokenCache(tmp_path).tokens(OneShort(), chains)
        assert len(tokens) == 0
        reasons = {problem.id: problem.reason for problem in tokens.problems}
        assert reasons.keys() == chains.keys()
        assert "ids: expected int64 of shape (20,)" in reasons["a"]
        assert "got int64 of shape (19,)" in reasons["a"]


def test_a_missing_package_stops_the_run_and_is_not_kept(
    tmp_path: Path, chains: Mapping[str, Backbone]
) -> None:
    class Absent(Counting):
        def tokenize(self, chain: Backbone) -> ChainTokens:
            msg = "install it"
            raise MissingExtraError(msg)

    with pytest.raises(MissingExtraError, match="install it"):
        TokenCache(tmp_path).tokens(Absent(), chains)
    assert files(tmp_path) == []


def test_controls_take_the_tokens_that_are_there(
    tmp_path: Path, chains: Mapping[str, Backbone]
) -> None:
    base, cache = Counting(), TokenCache(tmp_path)
    cache.tokens(base, chains)
    control = cache.tokens(Shuffled(base), chains)
    assert base.calls == 4
    np.testing.assert_array_equal(control["c"].ids, Shuffled(Counting()).tokenize(chains["c"]).ids)
    assert [problem.id for problem in control.problems] == ["b"]
