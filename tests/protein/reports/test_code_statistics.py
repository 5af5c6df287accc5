"""Are the shipped statistics those of the shipped model, and is any other file refused?"""

import io
import re

import numpy as np
import pytest

from provq_protein.errors import CheckpointError
from provq_protein.reports import statistics_file
from provq_protein.reports.chain_records import coded_chain, record_of_structure
from provq_protein.reports.code_numbers import MOST_FRAGMENTS
from provq_protein.reports.code_statistics import CountedSet, code_statistics
from provq_protein.reports.drawn_codes import break_steps
from provq_protein.reports.statistics_file import (
    UNIT,
    default_statistics_file,
    read_statistics,
    shipped_statistics,
    write_statistics,
)
from provq_protein.structure.backbone import Backbone
from provq_protein.tokenizer import StructureTokenizer

ORIGIN = CountedSet("some_list", "0123456789abcdef", "f" * 64, 7, "0.0.1")
# The residue is a number as authors write them, without the insertion code.
CHAIN, RESIDUE = re.compile(r"[0-9][0-9a-z]{3}:\S+"), re.compile(r"-?\d+")


@pytest.fixture(scope="module")
def shipped_model():
    return StructureTokenizer.from_pretrained()


@pytest.fixture(scope="module")
def shipped(shipped_model):
    return shipped_statistics(shipped_model)


@pytest.fixture
def small(make_coords, tiny_model):
    """Return statistics of two chains and an untrained model."""
    tokenizer = StructureTokenizer(tiny_model)
    chains = []
    for seed, length in ((1, 40), (2, 30)):
        coords = make_coords(length, seed)
        coords[4] = np.nan
        chains.append(Backbone.from_arrays(coords, chain_id="A", source=f"1ab{seed}:A"))
    return code_statistics(
        [coded_chain(one, tokenizer) for one in chains], tokenizer, origin=ORIGIN
    )


@pytest.fixture
def written(small, tmp_path):
    path = tmp_path / "codes.npz"
    write_statistics(path, small)
    return path


def changed(path, **arrays) -> None:
    """Write the file again with other arrays; None leaves one out."""
    with np.load(path, allow_pickle=False) as archive:
        found = dict(archive) | arrays
    kept = {name: values for name, values in found.items() if values is not None}
    np.savez_compressed(path, **kept)


def test_the_shipped_statistics_are_of_the_shipped_model_and_its_training_chains(
    shipped, shipped_model
) -> None:
    assert shipped.fingerprint == shipped_model.fingerprint
    assert shipped.origin.data_hash == shipped_model.origin.training["data_hash"]
    assert re.fullmatch(r"[0-9a-f]{64}", shipped.origin.sha256)
    card = shipped_model.origin.card
    assert f"| chains | {shipped.chains:,} (" in card
    assert f"`{shipped.origin.name}`" in card
    assert default_statistics_file().stat().st_size < 1_200_000


def test_the_shipped_numbers_add_up(shipped, shipped_model) -> None:
    use = shipped.use
    assert len(use.counts) == shipped_model.codebook_size
    assert use.residues == use.counts.sum() == use.by_structure.sum()
    np.testing.assert_array_equal(use.by_structure.sum(axis=1), use.counts)
    # A chain that was trained on has 16 resolved residues at least.
    assert use.residues > 16 * shipped.chains
    assert use.utilization == (use.counts > 0).mean()
    shares = use.counts[use.counts > 0] / use.residues
    assert use.perplexity == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-4)


def test_every_shipped_code_has_sane_numbers(shipped, shipped_model) -> None:
    breaks = break_steps(shipped_model)
    for code, one in shipped.fragments.items():
        assert code not in breaks
        assert 1 <= one.used <= min(MOST_FRAGMENTS, shipped.use.counts[code])
        assert 0 <= one.spread < 5
        steps = np.linalg.norm(np.diff(one.coords[:, 1], axis=0), axis=1)
        # A mean of unlike pieces is shorter than each; a trans peptide bond spans 3.8 Angstrom.
        assert steps.min() > 0.5, code
        assert steps.max() < 4.3, code
        # Those of a few chains whose entry is not known are left out.
        assert len(one.exemplars) <= min(3, one.used)
        for chain, residue in one.exemplars:
            assert CHAIN.fullmatch(chain) and RESIDUE.fullmatch(residue)
    # A code that is used often has been seen amid bonded residues, unless it is for breaks or
    # for the last residue of a chain, from which there is no step to learn.
    often = set(np.flatnonzero(shipped.use.counts >= 100).tolist()) - set(breaks)
    assert len(often) > 1000
    assert len(often - set(shipped.fragments)) < 10
    full = sum(len(one.exemplars) == 3 for one in shipped.fragments.values() if one.used >= 3)
    assert full > 3500


def test_the_loader_reads_what_the_writer_wrote(written, small) -> None:
    found = read_statistics(written)

    assert (found.fingerprint, found.chains, found.origin) == (small.fingerprint, 2, ORIGIN)
    np.testing.assert_array_equal(found.use.counts, small.use.counts)
    np.testing.assert_array_equal(found.use.by_structure, small.use.by_structure)
    assert found.use.perplexity == small.use.perplexity
    assert found.use.utilization == small.use.utilization
    assert found.use.residues == 68
    assert set(found.fragments) == set(small.fragments)
    for code, one in small.fragments.items():
        read = found.fragments[code]
        assert (read.used, read.exemplars) == (one.used, one.exemplars)
        assert read.spread == pytest.approx(one.spread, abs=1e-6)
        centred = one.coords - one.coords.mean(axis=(0, 1))
        np.testing.assert_allclose(read.coords, centred, atol=UNIT / 2 + 1e-9)


def test_equal_statistics_are_equal_bytes(written, small, tmp_path) -> None:
    for name, statistics in (("a.npz", small), ("b.npz", read_statistics(written))):
        write_statistics(tmp_path / name, statistics)
        assert (tmp_path / name).read_bytes() == written.read_bytes()


def test_encoding_alone_counts_as_the_record_of_a_report_does(make_coords, tiny_model) -> None:
    tokenizer = StructureTokenizer(tiny_model)
    chain = Backbone.from_arrays(make_coords(40, 3))
    alone, record = coded_chain(chain, tokenizer), record_of_structure(chain, tokenizer)
    first, second = (code_statistics([one], tokenizer) for one in (alone, record))
    np.testing.assert_array_equal(first.use.by_structure, second.use.by_structure)
    assert {code: one.exemplars for code, one in first.fragments.items()} == {
        code: one.exemplars for code, one in second.fragments.items()
    }


def test_a_model_with_another_fingerprint_has_no_shipped_statistics(tiny_model) -> None:
    assert shipped_statistics(StructureTokenizer(tiny_model)) is None
    other = StructureTokenizer.from_pretrained()
    other.__dict__["fingerprint"] = "0" * 16
    assert shipped_statistics(other) is None


def test_statistics_without_an_origin_are_not_written(small, tmp_path) -> None:
    from dataclasses import replace

    with pytest.raises(ValueError, match="origin"):
        write_statistics(tmp_path / "x.npz", replace(small, origin=None))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"used": None}, "lacks used"),
        ({"format": np.array("provq-tokens")}, "format 'provq-tokens' version 1"),
        ({"format_version": np.array(2)}, "version 2"),
        ({"chains": np.array("many")}, "chains is <U4"),
        ({"fingerprint": np.array(5)}, "fingerprint is int64"),
        ({"counts": np.array(3)}, "expected i"),
        ({"fragments": np.zeros((3, 5, 3, 3), np.int16)}, "fragments is int16"),
        ({"chain_names": np.array([], dtype="<U6")}, "in chains that it does not list"),
        ({"chain_names": np.array([{}], dtype=object)}, "damaged"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(written, arrays, message) -> None:
    changed(written, **arrays)
    with pytest.raises(CheckpointError, match=re.escape(message)) as raised:
        read_statistics(written)
    assert str(written) in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("counts", 1, "has counts that disagree"),
        ("by_structure", -1, "has counts"),
        ("used", 1000, "more pieces than residues"),
        ("spread", np.nan, "spread that is no number"),
        ("exemplar_chain", -5, "in chains that it does not list"),
    ],
)
def test_impossible_numbers_are_refused(written, name, change, message) -> None:
    with np.load(written, allow_pickle=False) as archive:
        values = archive[name].copy()
    values.flat[0] += change
    changed(written, **{name: values})
    with pytest.raises(CheckpointError, match=message):
        read_statistics(written)


def test_negative_counts_that_add_up_are_refused(written) -> None:
    with np.load(written, allow_pickle=False) as archive:
        values = archive["by_structure"].copy()
    values[0] += [-1000, 1000, 0]
    changed(written, by_structure=values)
    with pytest.raises(CheckpointError, match="counts below 0"):
        read_statistics(written)


@pytest.mark.parametrize("kept", [0, 1, 100, -1, -50])
def test_a_truncated_file_is_refused(written, kept) -> None:
    written.write_bytes(written.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"codes\.npz: cannot be used .*install provq again"):
        read_statistics(written)


def test_no_damaged_byte_leads_to_another_error(written) -> None:
    good = written.read_bytes()
    generator = np.random.default_rng(0)
    for place in generator.integers(0, len(good), 60).tolist():
        damaged = bytearray(good)
        damaged[place] ^= 1 << int(generator.integers(8))
        written.write_bytes(bytes(damaged))
        try:
            read_statistics(written)
        except CheckpointError as error:
            assert len(str(error).splitlines()) == 1


def test_an_absent_file_and_a_foreign_one_are_named(
    written, shipped_model, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(statistics_file, "default_statistics_file", lambda: tmp_path / "no.npz")
    with pytest.raises(CheckpointError, match=r"no\.npz: cannot be used \(No such file"):
        shipped_statistics(shipped_model)
    monkeypatch.setattr(statistics_file, "default_statistics_file", lambda: written)
    expected = f"expected {shipped_model.fingerprint}"
    with pytest.raises(CheckpointError, match=f"is about the model [0-9a-f]+, {expected}"):
        shipped_statistics(shipped_model)
    changed(written, fingerprint=np.array(shipped_model.fingerprint))
    with pytest.raises(CheckpointError, match="expected 4,096"):
        shipped_statistics(shipped_model)
    buffer = io.BytesIO()
    np.savez(buffer, x=np.zeros(3))
    written.write_bytes(buffer.getvalue())
    with pytest.raises(CheckpointError, match="not a file of code statistics"):
        shipped_statistics(shipped_model)
