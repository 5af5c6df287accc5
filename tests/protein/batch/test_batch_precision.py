"""Does fast precision give the ids of exact precision, and say what it did or why it did not?"""

import dataclasses
import json

import pytest
import torch

from provq_protein.batch.run import RunOptions
from provq_protein.cli import main
from provq_protein.errors import ConfigError
from provq_protein.model import fast_ids
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.model.geometric_encoder import GeometricEncoderConfig
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.writing import write_backbone
from provq_protein.tokenizer import StructureTokenizer
from provq_protein.tokens.formats import load_tokens
from provq_protein.training.config import load_recipe

CODES = 256
NO_GAIN = "has no instructions for bfloat16"


@pytest.fixture(scope="module")
def geometric(tmp_path_factory):
    """Return the folder of a small model with an encoder of ESM3's kind and codes that are used."""
    config = load_recipe("vanilla_vq").model
    sizes = {"latent_dim": 16, "width": 64, "vector_heads": 16}
    decoder = dataclasses.replace(config.decoder, latent_dim=16, width=32, blocks=1, heads=2)
    codebook = dataclasses.replace(config.codebook, size=CODES)
    small = dataclasses.replace(
        config, encoder=GeometricEncoderConfig(**sizes), codebook=codebook, decoder=decoder
    )
    model = StructureAutoencoder.build(small, seed=5)
    with torch.no_grad():
        torch.nn.init.normal_(
            model.encoder.offsets.weight, std=0.5, generator=torch.Generator().manual_seed(1)
        )
        latents = [model.embed(*b) for b in fast_ids.calibration_chains(torch.device("cpu"))]
        model.quantizer.seed(torch.cat(latents).flatten(0, 1), torch.Generator().manual_seed(0))
    folder = tmp_path_factory.mktemp("model") / "geometric"
    model.save(folder, training={})
    return folder


@pytest.fixture
def gains(monkeypatch):
    """Let this processor count as one with instructions for bfloat16."""
    monkeypatch.setattr(fast_ids, "gains_from", lambda products, device: True)


@pytest.fixture
def some_chains(make_coords):
    return [
        Backbone.from_arrays(make_coords(50 + 30 * seed, seed), source=f"c{seed}")
        for seed in range(4)
    ]


@pytest.fixture
def files(some_chains, tmp_path):
    """Return a folder of files, one of which holds no structure."""
    folder = tmp_path / "in"
    folder.mkdir()
    for chain in some_chains:
        write_backbone(folder / f"{chain.source}.cif", chain)
    (folder / "bad.pdb").write_text("no structure")
    return folder


def test_ids_are_those_of_exact_precision(geometric, some_chains, gains) -> None:
    exact = StructureTokenizer.from_pretrained(geometric)
    fast = StructureTokenizer.from_pretrained(geometric, precision="fast")
    assert fast.exact_because is None
    for mine, other in zip(fast.encode(some_chains), exact.encode(some_chains), strict=True):
        assert mine.ids.tolist() == other.ids.tolist()
    assert len({i for tokens in exact.encode(some_chains) for i in tokens.ids.tolist()}) > 15
    report = fast.fast_report
    assert report.residues == sum(len(chain) for chain in some_chains)
    assert 0 < report.rechecked < report.residues
    assert report.audited > 0
    assert report.mismatches == 0
    assert (exact.fast_report, exact.exact_because) == (None, None)


def test_the_calibration_depends_on_the_model_alone(geometric, some_chains, gains) -> None:
    one, two = (StructureTokenizer.from_pretrained(geometric, precision="fast") for _ in range(2))
    one.encode(some_chains)
    two.encode(some_chains[-1:])
    assert one.last_fast_report == two.last_fast_report


def reason_for(model, monkeypatch, *, gains=True):
    monkeypatch.setattr(fast_ids, "gains_from", lambda products, device: gains)
    tokenizer = StructureTokenizer(model, precision="fast")
    assert tokenizer.fast_report is None
    return tokenizer.exact_because


def test_models_that_would_not_gain_say_why(geometric, monkeypatch, some_chains) -> None:
    load = StructureAutoencoder.load
    assert reason_for(load(geometric), monkeypatch) is None
    assert NO_GAIN in reason_for(load(geometric), monkeypatch, gains=False)
    shipped = StructureTokenizer.from_pretrained()
    assert "follow the chain" in reason_for(shipped.model, monkeypatch)
    tokens = StructureTokenizer(shipped.model, precision="fast").encode(some_chains[:1])
    assert tokens[0].ids.tolist() == shipped.encode(some_chains[:1])[0].ids.tolist()
    config = load(geometric).config
    book = dataclasses.replace(config.codebook, kind="fsq")
    other = StructureAutoencoder.build(dataclasses.replace(config, codebook=book))
    assert "not the codes nearest" in reason_for(other, monkeypatch)
    smoke = load_recipe("smoke").model
    if not hasattr(smoke.encoder, "drift_weight"):
        assert "only GeometricEncoder" in reason_for(StructureAutoencoder.build(smoke), monkeypatch)


def test_no_other_precision_is_known(geometric, files, tmp_path, capsys) -> None:
    with pytest.raises(ConfigError, match="one of 'exact', 'fast', got 'rough'"):
        StructureTokenizer.from_pretrained(geometric, precision="rough")
    from provq_protein.batch.run import encode_to_folder

    with pytest.raises(ConfigError, match="got 'rough'"):
        encode_to_folder([files], tmp_path / "out", options=RunOptions(precision="rough"))
    with pytest.raises(SystemExit):
        main(["encode", str(files), "--precision", "rough"])
    assert "invalid choice: 'rough'" in capsys.readouterr().err


def test_the_command_prints_the_same_ids_and_what_was_done(
    geometric, files, gains, capsys, monkeypatch
) -> None:
    line = ["encode", str(files), "--model", str(geometric)]
    main(line)
    exact = capsys.readouterr()
    main([*line, "--precision", "fast"])
    fast = capsys.readouterr()
    assert fast.out == exact.out != ""
    assert "redone, " in fast.err
    assert "warning" not in fast.err
    monkeypatch.setattr(fast_ids, "gains_from", lambda products, device: False)
    main([*line, "--precision", "fast"])
    without = capsys.readouterr()
    assert without.out == exact.out
    assert without.err.count("computed as 'exact', ids are the same: this processor") == 1


def test_wrong_ids_of_the_audit_are_a_warning(geometric, files, gains, capsys, monkeypatch) -> None:
    honest = fast_ids.FastEncoder.encode

    def lying(self, batch, calibration):
        ids, report = honest(self, batch, calibration)
        return ids, dataclasses.replace(report, audited=10, mismatches=1)

    monkeypatch.setattr(fast_ids.FastEncoder, "encode", lying)
    main(["encode", str(files), "--model", str(geometric), "--precision", "fast"])
    errors = capsys.readouterr().err
    assert "warning: precision 'fast': 4 of 40 audited residues had another id" in errors
    assert "encode again with precision 'exact'" in errors


def test_a_run_has_the_ids_of_the_model_and_says_what_was_done(
    encode, geometric, files, stand_ins, tmp_path, monkeypatch, rows_in
) -> None:
    monkeypatch.setenv("STAND_IN_MODEL", str(geometric))
    said = []
    options = RunOptions(precision="fast", on_warning=said.append)
    summary = encode(files, load=stand_ins.geometric_fast, options=options)
    assert said == []
    tokens = [t for path in sorted(tmp_path.glob("out/tokens-*")) for t in load_tokens(path)]
    exact = StructureTokenizer.from_pretrained(geometric).encode(sorted(files.glob("*.cif")))
    assert [t.ids.tolist() for t in tokens] == [t.ids.tolist() for t in exact]
    rows = [row for row in rows_in("out") if row.status == "ok"]
    assert {row.precision for row in rows} == {"fast"}
    assert [row.fast["residues"] for row in rows] == [row.residues for row in rows]
    assert len({row.fast["threshold"] for row in rows}) == 1
    assert summary.made.fast == summary.made.residues
    assert 0 < summary.made.rechecked == sum(row.fast["rechecked"] for row in rows)
    assert 0 < summary.made.audited == sum(row.fast["audited"] for row in rows)


def test_what_was_done_survives_parts_and_resuming_and_wrong_ids_are_a_warning(
    encode, files, stand_ins, tmp_path, state_of
) -> None:
    said = []
    options = RunOptions(precision="fast", on_warning=said.append)
    settings = {"load": stand_ins.wrong_audit, "options": options, "shard_size": 2}
    summary = encode(files, "whole", **settings)
    done = summary.made
    assert (done.fast, done.rechecked, done.audited, done.mismatches) == (200, 20, 8, 4)
    assert [text.split(" had")[0] for text in said] == ["precision 'fast': 4 of 8 audited residues"]
    for part in ((2, 2), (1, 2)):
        encode(files, "parts", part=part, **settings)
    assert state_of("parts") == state_of("whole")
    (tmp_path / "parts" / "manifest-000001.jsonl").unlink()
    said.clear()
    again = encode(files, "parts", resume=True, **settings)
    assert state_of("parts") == state_of("whole")
    assert again.made + again.found == done
    assert again.found.mismatches > 0
    assert len(said) == 1


def test_a_run_that_does_not_gain_says_so_in_every_row_and_once_to_the_user(
    encode, files, stand_ins, rows_in, tmp_path
) -> None:
    said = []
    options = RunOptions(precision="fast", on_warning=said.append)
    summary = encode(files, load=stand_ins.no_gain, options=options, jobs=2)
    assert said == ["precision 'fast' is computed as 'exact', ids are the same: no luck"]
    rows = rows_in("out")
    assert {row.precision for row in rows} == {"exact"}
    assert {row.status for row in rows} == {"ok", "failed"}
    assert all(row.fast == {"exact_because": "no luck"} for row in rows)
    assert (summary.made.fast, summary.made.ok) == (0, 4)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["precision"] == "fast"


def test_rows_of_exact_runs_have_no_column_for_fast(encode, files, tmp_path) -> None:
    encode(files)
    text = "".join(path.read_text() for path in tmp_path.glob("out/manifest-*"))
    assert '"precision":"exact"' in text
    assert '"fast"' not in text


def test_chains_of_a_file_can_be_loaded_as_ever(geometric, files, gains, tmp_path) -> None:
    out = tmp_path / "tokens.npz"
    given = [str(files / "c0.cif"), "--model", str(geometric), "--precision", "fast"]
    assert main(["encode", *given, "-o", str(out)]) == 0
    assert len(load_tokens(out)) == 1
