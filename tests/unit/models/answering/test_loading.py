"""A head that a checkpoint lacks is made anew, the same for the same seed; a body that is not whole is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sft.config.model import QuantizationConfig
from sft.exceptions import UserError
from sft.models.answering.heads import head_names
from sft.models.library_warnings import forget_warnings
from sft.models.loading import ModelSource, load_model
from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM
from sft.objectives.sequence_head import OBJECTIVE as SEQUENCE_HEAD
from tests.support.tiny_models import IDS, bert_head, llama, tiny_logits

LABELS = ("b", "a")


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A checkpoint of masked language modelling, which has neither a pooler nor a head for labels."""
    from transformers import BertForMaskedLM

    config = bert_head().config
    config.num_labels = len(LABELS)
    BertForMaskedLM(config).save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


def loaded(
    folder: Path, seed: int = 0, labels: tuple[str, ...] = LABELS, asked: QuantizationConfig | None = None
) -> Any:
    source = ModelSource(str(folder), folder, labels=labels, head_seed=seed, quantization=asked)
    return load_model(source, SEQUENCE_HEAD)


@pytest.mark.filterwarnings("ignore")
def test_a_new_head_follows_its_seed_and_the_body_does_not(encoder: Path) -> None:
    first, again, other = loaded(encoder, 1), loaded(encoder, 1), loaded(encoder, 2)
    assert torch.equal(tiny_logits(first), tiny_logits(again))
    assert not torch.equal(first.classifier.weight, other.classifier.weight)
    assert torch.equal(first.bert.embeddings.word_embeddings.weight, other.bert.embeddings.word_embeddings.weight)
    assert first.config.id2label == {0: "b", 1: "a"}


@pytest.mark.filterwarnings("ignore")
def test_a_decoder_gets_a_head_in_the_place_of_its_output_layer(tmp_path: Path) -> None:
    llama(pad_token_id=0).save_pretrained(tmp_path / "decoder")
    model = loaded(tmp_path / "decoder", labels=("a", "b", "c"))
    assert model(input_ids=IDS).logits.shape == (2, 3)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("skipped", [None, ["lm_head"]], ids=str)
def test_a_new_head_on_stored_nf4_is_that_of_the_plain_base(tmp_path: Path, skipped: list[str] | None) -> None:
    pytest.importorskip("bitsandbytes")
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    plain, stored, labels = tmp_path / "plain", tmp_path / "stored", ("a", "b", "c")
    llama(pad_token_id=0).save_pretrained(plain)
    nf4 = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", llm_int8_skip_modules=skipped)
    AutoModelForCausalLM.from_pretrained(plain, quantization_config=nf4).save_pretrained(stored)
    found = loaded(stored, labels=labels)
    assert type(found.score) is torch.nn.Linear
    assert type(found.model.layers[0].mlp.up_proj).__name__ == "Linear4bit"
    assert torch.equal(found.score.weight, loaded(plain, labels=labels).score.weight)
    assert found.config.id2label == dict(enumerate(labels))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("is_written", [False, True], ids=["stored", "also written in the config"])
@pytest.mark.parametrize("has_pooler", [True, False])
def test_a_pooler_that_an_encoder_in_nf4_lacks_is_new_with_the_head(
    tmp_path: Path, has_pooler: bool, is_written: bool
) -> None:
    pytest.importorskip("bitsandbytes")
    from transformers import BertForMaskedLM, BertModel, BitsAndBytesConfig

    kind = BertModel if has_pooler else BertForMaskedLM
    kind(bert_head().config).save_pretrained(tmp_path / "plain")
    nf4 = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
    kind.from_pretrained(tmp_path / "plain", quantization_config=nf4).save_pretrained(tmp_path / "stored")
    args = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    asked = QuantizationConfig(config_class="BitsAndBytesConfig", args=args) if is_written else None
    found = loaded(tmp_path / "stored", asked=asked)
    forget_warnings()  # that what is stored wins over what is written
    assert type(found.classifier) is torch.nn.Linear
    assert (type(found.bert.pooler.dense) is torch.nn.Linear) is not has_pooler
    assert head_names(found) == (["classifier"] if has_pooler else ["classifier", "bert.pooler"])


@pytest.mark.filterwarnings("ignore")
def test_a_head_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    model = bert_head()
    model.config.id2label = {0: "x", 1: "y", 2: "z"}
    model.save_pretrained(tmp_path / "own")
    found = loaded(tmp_path / "own", labels=("z", "y", "x"))
    assert found.config.id2label == {0: "x", 1: "y", 2: "z"}
    assert torch.equal(tiny_logits(found), tiny_logits(model))


@pytest.mark.filterwarnings("ignore")
def test_a_body_that_lacks_weights_and_an_encoder_that_should_write_are_refused(encoder: Path) -> None:
    from safetensors.torch import load_file, save_file

    with pytest.raises(UserError, match="is of type bert"):
        load_model(ModelSource(str(encoder), encoder), CAUSAL_LM)
    weights = load_file(encoder / "model.safetensors")
    del weights["bert.encoder.layer.1.output.dense.weight"]
    save_file(weights, encoder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"no weights for bert\.encoder\.layer\.1\.output\.dense\.weight \(1 in all\)"):
        loaded(encoder)
