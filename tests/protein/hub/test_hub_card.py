"""Does a model card say what is known, nothing else, and in a form that the Hub reads?"""

import pytest

from provq_protein.errors import ConfigError
from provq_protein.hub.card import TAGS, CardFacts, card_header, model_card
from provq_protein.runs.documents import default_model


def facts(**changes) -> CardFacts:
    given = {
        "name": "someone/tiny",
        "fingerprint": "c0ffee",
        "codes": 4096,
        "latent_dim": 16,
        "parts": {"encoder": ("chain", 1234)},
        "training": {},
        "license": None,
    }
    return CardFacts(**(given | changes))


def header_of(text: str) -> dict:
    hub = pytest.importorskip("huggingface_hub", reason="cards of the Hub need the extra 'hub'")
    return hub.ModelCard(text).data.to_dict()


def test_the_header_is_what_the_hub_reads() -> None:
    assert header_of(model_card(facts(license="cc-by-4.0"))) == {
        "library_name": "provq",
        "license": "cc-by-4.0",
        "tags": list(TAGS),
    }
    assert header_of(model_card(facts())) == {"library_name": "provq", "tags": list(TAGS)}


def test_the_shipped_model_is_apache() -> None:
    text = (default_model() / "README.md").read_text(encoding="utf-8")
    assert text.startswith(card_header("apache-2.0"))
    assert header_of(text)["license"] == "apache-2.0"


def test_what_is_not_known_is_said_not_to_be_known() -> None:
    text = model_card(facts())
    assert "Not measured." in text
    assert "Not recorded" in text
    assert "Not stated" in text
    assert "apache" not in text
    partly = model_card(facts(training={"steps": 1250, "converted_from": "weights of others"}))
    assert "| steps | 1,250 |" in partly
    assert "| seed | not recorded |" in partly
    assert "| converted_from | weights of others |" in partly


def test_what_is_known_is_there() -> None:
    training = {"command": "provq-protein train", "recipe": {"seed": 7}, "versions": {"torch": "2"}}
    text = model_card(facts(training=training, license="mit"))
    for words in (
        "`c0ffee`",
        "4,096 of dimension 16",
        "chain, 1,234 parameters",
        "| seed | 7 |",
        "| versions | torch 2 |",
        'from_pretrained("someone/tiny")',
        "--model someone/tiny",
        "mit",
    ):
        assert words in text


def test_foreign_text_stays_in_its_cell() -> None:
    text = model_card(facts(training={"command": "a | b\n\n# Title\n<script>"}))
    assert "| command | a \\| b # Title &lt;script> |" in text


@pytest.mark.parametrize("license", ["Apache 2.0", "", "mit\ntags: x", "-mit"])
def test_a_license_is_one_word_of_the_hub(license) -> None:
    with pytest.raises(ConfigError, match=r"apache-2\.0"):
        card_header(license)
