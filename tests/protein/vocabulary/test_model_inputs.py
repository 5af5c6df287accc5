"""Do structure and sequence reach a language model side by side, or in turns, and come back?"""

import pickle

import numpy as np
import pytest

from provq_protein.errors import TokenFormatError
from provq_protein.vocabulary.model_inputs import SEQUENCE_TEXTS, ModelInputs
from provq_protein.vocabulary.vocabulary import Vocabulary

ESM3 = Vocabulary.named("esm3", codebook_size=512)
ROW = {"id": "1abc_A", "tokens": [7, -1, 9], "sequence": "LXG", "codebook_size": 512}


def as_lists(inputs: dict) -> dict:
    """Return plain lists, which compare."""
    return {name: values.tolist() for name, values in inputs.items()}


def test_structure_alone() -> None:
    assert as_lists(ModelInputs(vocabulary=ESM3)(ROW)) == {
        "input_ids": [514, 7, 512, 9, 513],
        "resolved": [False, True, False, True, False],
        "positions": [-1, 0, 1, 2, -1],
    }


def test_two_tracks_are_equally_long_and_in_step() -> None:
    inputs = ModelInputs(vocabulary=ESM3, template="parallel")
    assert as_lists(inputs(ROW)) == {
        "input_ids": [514, 7, 512, 9, 513],
        "sequence_ids": [0, 4, 24, 6, 2],
        "resolved": [False, True, False, True, False],
        "positions": [-1, 0, 1, 2, -1],
    }
    dropping = ModelInputs(vocabulary=ESM3, template="parallel", unresolved="drop", special=False)
    assert as_lists(dropping(ROW)) == {
        "input_ids": [7, 9],
        "sequence_ids": [4, 6],
        "resolved": [True, True],
        "positions": [0, 2],
    }


def test_interleaved_ids_take_turns_and_do_not_collide() -> None:
    inputs = ModelInputs(vocabulary=ESM3, template="interleaved")
    made = as_lists(inputs(ROW))
    # 517 ids of the vocabulary come first.
    assert made == {
        "input_ids": [514, 517 + 4, 7, 517 + 24, 512, 517 + 6, 9, 513],
        "resolved": [False, False, True, False, False, False, True, False],
        "positions": [-1, 0, 0, 1, 1, 2, 2, -1],
    }
    assert inputs.size == 517 + len(SEQUENCE_TEXTS) == 550
    dropping = ModelInputs(vocabulary=ESM3, template="interleaved", unresolved="drop")
    assert dropping(ROW)["input_ids"].tolist() == [514, 521, 7, 523, 9, 513]


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("template", ["structure", "parallel", "interleaved"])
def test_codes_come_back_from_every_template(template, special) -> None:
    inputs = ModelInputs(vocabulary=ESM3, template=template, special=special)
    random = np.random.default_rng(3)
    for length in (0, 1, 40):
        codes = random.integers(-1, 512, length)
        sequence = "".join(random.choice(list("ACDEFGHIKLMNPQRSTVWYX"), length))
        ids = inputs({"tokens": codes, "sequence": sequence})["input_ids"]
        back = inputs.to_codes(ids)
        assert back.codes.tolist() == codes.tolist()
        assert back.resolved.tolist() == (codes >= 0).tolist()
        assert back.sequence == (sequence if template == "interleaved" else None)


def test_a_padded_interleaved_row_comes_back() -> None:
    inputs = ModelInputs(vocabulary=ESM3, template="interleaved", unresolved="token:pad")
    ids = inputs({"tokens": [3, -1], "sequence": "AC"})["input_ids"]
    back = inputs.to_codes(np.append(ids, [515, 515]))
    assert (back.codes.tolist(), back.sequence) == ([3, -1], "AC")


@pytest.mark.parametrize("ids", [[514, 7, 521, 513], [514, 521, 513], [521, 514, 7, 513]])
def test_interleaved_ids_that_do_not_take_turns_are_refused(ids) -> None:
    inputs = ModelInputs(vocabulary=ESM3, template="interleaved")
    with pytest.raises(TokenFormatError, match=r"position .: .* take turns"):
        inputs.to_codes(ids)


def test_a_chain_gives_what_its_row_gives(make_ids_chain) -> None:
    chain = make_ids_chain([7, -1, 9], codes=512, sequence="LXG")
    inputs = ModelInputs(vocabulary=ESM3, template="interleaved")
    assert as_lists(inputs.of(chain)) == as_lists(inputs(ROW))


def test_pairs_take_the_sequence_of_the_row() -> None:
    inputs = ModelInputs(vocabulary=Vocabulary.named("saprot", codebook_size=20))
    row = {"tokens": [0, -1], "sequence": "AC"}
    assert inputs.vocabulary.to_text(inputs(row)["input_ids"]) == "<cls>ApC#<eos>"
    with pytest.raises(TokenFormatError, match="no column 'sequence'"):
        inputs({"tokens": [0, -1]})


def test_what_no_row_could_be_turned_into_is_refused_at_once() -> None:
    with pytest.raises(TokenFormatError, match="unknown template 'both'; use one of structure"):
        ModelInputs(vocabulary=ESM3, template="both")
    pairs = Vocabulary.named("saprot", codebook_size=20)
    with pytest.raises(TokenFormatError, match="'saprot' hold amino acids already"):
        ModelInputs(vocabulary=pairs, template="parallel")
    with pytest.raises(TokenFormatError, match="no token 'mask'"):
        ModelInputs(vocabulary=Vocabulary.named("offset:3", codebook_size=512))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": None}, "1abc_A: no column 'tokens'"),
        ({"sequence": None}, "1abc_A: no column 'sequence', which parallel ids"),
        ({"sequence": "LX"}, "1abc_A: 3 codes but the sequence has 2"),
        ({"codebook_size": 4096}, "1abc_A: encoded with 4096 codes"),
        ({"tokens": [7, 512, 9]}, "1abc_A: code 512 at position 1 is out of range"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_name(change, message) -> None:
    with pytest.raises(TokenFormatError, match=message):
        ModelInputs(vocabulary=ESM3, template="parallel")(ROW | change)


def test_it_goes_to_another_process() -> None:
    inputs = pickle.loads(pickle.dumps(ModelInputs(vocabulary=ESM3, template="parallel")))
    assert inputs(ROW)["sequence_ids"].tolist() == [0, 4, 24, 6, 2]


def test_it_maps_a_dataset_of_hugging_face(tmp_path) -> None:
    datasets = pytest.importorskip("datasets", reason="needs the package datasets")
    rows = datasets.Dataset.from_list([ROW, ROW | {"tokens": [1, 2, 3]}])
    inputs = ModelInputs(vocabulary=ESM3, template="parallel")
    mapped = rows.map(inputs, remove_columns=rows.column_names)
    assert set(mapped.column_names) == {"input_ids", "sequence_ids", "resolved", "positions"}
    assert mapped[1]["input_ids"] == [514, 1, 2, 3, 513]


@pytest.mark.parity
def test_amino_acids_are_numbered_as_in_the_esm_package() -> None:
    constants = pytest.importorskip("esm.utils.constants.esm3", reason="needs the package esm")
    assert list(SEQUENCE_TEXTS) == constants.SEQUENCE_VOCAB
