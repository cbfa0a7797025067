"""Kinds of decoders, each tiny and random: trained, saved, taken up again, scored and asked; each as it should be."""

import gc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sft.objectives.causal_lm import OBJECTIVE as CAUSAL_LM

pytestmark = pytest.mark.slow

VOCABULARY = 300
PAD, EOS = 256, 257
NATS = 1e-4
SHAPE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": VOCABULARY}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 24}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 8,
}
WINDOWED = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 8}

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen3_moe": ("Qwen3Moe", {**SHAPE, **HEADS, **EXPERTS, "num_experts": 4, "mlp_only_layers": [0]}),
    "mixtral": ("Mixtral", {**SHAPE, **HEADS, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "deepseek_v3": (
        "DeepseekV3",
        {**SHAPE, **EXPERTS, "num_attention_heads": 4, "num_key_value_heads": 4, "n_routed_experts": 4, "n_group": 2}
        | {"topk_group": 1, "first_k_dense_replace": 1, "kv_lora_rank": 16, "q_lora_rank": 16, "v_head_dim": 8}
        | {"qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "num_mtp_layers": 0},
    ),
    "gpt_oss": ("GptOss", {**SHAPE, **HEADS, "num_local_experts": 4, "num_experts_per_tok": 2, **WINDOWED}),
    "gemma3": ("Gemma3", {"text_config": {**SHAPE, **HEADS, **WINDOWED}, "vision_config": VISION}),
    "llama4_text": (
        "Llama4Text",
        {**SHAPE, **HEADS, "intermediate_size_mlp": 48, "num_local_experts": 4, "interleave_moe_layer_step": 2}
        | {"attention_chunk_size": 8},
    ),
    "falcon_h1": (
        "FalconH1",
        {**SHAPE, "num_attention_heads": 4, "num_key_value_heads": 2, "mamba_d_ssm": 64, "mamba_n_heads": 4}
        | {"mamba_d_head": 16, "mamba_d_state": 8, "mamba_chunk_size": 8},
    ),
    "mamba": (
        "Mamba",
        {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": VOCABULARY, "state_size": 8},
    ),
    "mamba2": (
        "Mamba2",
        {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": VOCABULARY, "num_heads": 4, "head_dim": 16}
        | {"state_size": 8, "n_groups": 1, "chunk_size": 8},
    ),
    "qwen3_next": (
        "Qwen3Next",
        {**SHAPE, **HEADS, **EXPERTS, "num_experts": 4, "shared_expert_intermediate_size": 24}
        | {"linear_key_head_dim": 8, "linear_value_head_dim": 8, "linear_num_key_heads": 2}
        | {"linear_num_value_heads": 4, "layer_types": ["linear_attention", "full_attention"]},
    ),
    "lfm2": (
        "Lfm2",
        {**SHAPE, "num_attention_heads": 4, "num_key_value_heads": 2} | {"layer_types": ["conv", "full_attention"]},
    ),
    "phi3": ("Phi3", {**SHAPE, "num_attention_heads": 4, "num_key_value_heads": 2, "sliding_window": 8}),
    "olmo2": ("Olmo2", {**SHAPE, "num_attention_heads": 4, "num_key_value_heads": 2}),
    "granite": ("Granite", {**SHAPE, "num_attention_heads": 4, "num_key_value_heads": 2}),
}
CLASSES = {"gemma3": "Gemma3ForConditionalGeneration", "llama4_text": "Llama4ForCausalLM"}
CACHED = ("qwen3_moe", "mixtral", "deepseek_v3", "gpt_oss", "gemma3", "phi3", "olmo2", "granite")
"""Kinds whose labels are scored as a tree on a kept beginning; the others as whole sequences."""
INITIALISERS = (True, "pca", "pissa")

BEGINNING = [3 + 7 * number % 190 for number in range(40)]
"""Longer than windows and chunks, and than what runs at once: it runs first, by itself, and is kept."""
PROMPTS = [[*BEGINNING, *end] for end in ([70, 81, 22], [12], [70, 81, 22, 14, 90, 33, 41, 8, 17])]
LABELS = [((40, 41), (EOS,)), ((40,), (EOS,)), ((61, 62, 63), (EOS,))]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of the model of a kind, made when it is first asked for."""
    import torch
    import transformers

    def folder(kind: str) -> Path:
        place = tmp_path_factory.getbasetemp() / kind
        if not place.is_dir():
            torch.manual_seed(7)
            name, sizes = KINDS[kind]
            ends = {"bos_token_id": 1, "eos_token_id": EOS, "pad_token_id": PAD}
            config = getattr(transformers, f"{name}Config")(**sizes, **ends)
            model = getattr(transformers, CLASSES.get(kind, f"{name}ForCausalLM"))(config)
            with torch.no_grad():  # so large that a wrong position or mask shows
                for weight in model.parameters():
                    if weight.dim() > 1:
                        weight.normal_(std=0.2)
            model.save_pretrained(place)
        return place

    return folder


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = {token: number for number, token in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    raw = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens([AddedToken(text, special=True) for text in ("<pad>", "<eos>")])
    return PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    if not gc.get_freeze_count():
        gc.freeze()  # each training collects garbage
    yield
    torch.set_num_threads(threads)


def loaded(folder: Path) -> Any:
    from sft.models.loading import ModelSource, load_model

    return load_model(ModelSource(str(folder), folder, model_args={"dtype": "float32"}), CAUSAL_LM)


def rows() -> list[Any]:
    from sft.prompts.train_row import IGNORED, TrainRow

    made = []
    for number in range(8):
        prompt = tuple(range(20 + number, 26 + number + number % 3))
        made.append(TrainRow((*prompt, 60 + number, EOS), (IGNORED,) * len(prompt) + (60 + number, EOS)))
    return made


def trained(kind: str, model: Any, tokenizer: Any, folder: Path) -> float | None:
    """Trained for three steps, and the loss of the first."""
    from sft.runs.progress import Progress
    from sft.training.checkpoints import CheckpointFolder
    from sft.training.options import effective_trainer_args
    from sft.training.trainer import TrainerSettings, train_model

    balance = {} if kind == "llama4_text" else {"router_aux_loss_coef": 0.0}
    args = {
        **balance,
        "max_steps": 3,
        "per_device_train_batch_size": 8,
        "learning_rate": 0.01,
        "use_cpu": True,
        "bf16": False,
    }
    settings = TrainerSettings(effective_trainer_args(args, "lora"), 13, CheckpointFolder(folder / "work"))
    return (
        train_model(model, tokenizer, rows(), None, settings, Progress(folder / "progress.json", "train"))
        .loss_curve[0]
        .loss
    )


def loss(model: Any) -> float:
    """What the first batch costs for each token that is trained on, each row run by itself."""
    import torch

    told = []
    with torch.no_grad():
        for row in rows():
            logprobs = model(input_ids=torch.tensor([row.input_ids]), use_cache=False).logits[0].log_softmax(-1)
            places = [place for place, label in enumerate(row.labels) if label >= 0]
            told += [float(logprobs[place - 1, row.labels[place]]) for place in places]
    return -sum(told) / len(told)


def logits(model: Any) -> Any:
    import torch

    with torch.no_grad():
        return model(input_ids=torch.tensor([PROMPTS[-1]]), use_cache=False).logits


def one_by_one(model: Any) -> Any:
    """(prompts, labels) sums of the log-probabilities of answer and stop, each as a sequence of its own."""
    import torch

    sums = torch.zeros(len(PROMPTS), len(LABELS), dtype=torch.float64)
    with torch.no_grad():
        for row, prompt in enumerate(PROMPTS):
            for column, (answer, stop) in enumerate(LABELS):
                ids = [*prompt, *answer, *stop]
                told = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].double().log_softmax(-1)
                sums[row, column] = sum(told[place - 1, ids[place]] for place in range(len(prompt), len(ids)))
    return sums.numpy()


def greedily(model: Any, prompt: Sequence[int], steps: int) -> list[int]:
    """What is likeliest next, the whole sequence run anew for each token."""
    import torch

    ids = list(prompt)
    with torch.no_grad():
        for _ in range(steps):
            ids.append(int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
            if ids[-1] == EOS:
                break
    return ids[len(prompt) :]


@pytest.mark.parametrize("init", INITIALISERS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.unknown_library_warnings
def test_a_kind_of_model(kind: str, init: Any, bases: Any, tokenizer: Any, tmp_path: Path) -> None:
    import torch

    from sft.adapters.attach import attach_adapter
    from sft.adapters.saving import load_adapter, save_adapter

    base = loaded(bases(kind))
    before, first = logits(base), loss(base)
    model = attach_adapter(base, "lora", {"r": 2, "init_lora_weights": init, "task_type": "CAUSAL_LM"}, tmp_path, 3)
    assert torch.allclose(logits(model.eval()), before, atol=1e-3)
    start = {name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad}
    assert trained(kind, model.train(), tokenizer, tmp_path) == pytest.approx(first, abs=1e-3)
    assert [name for name, weight in model.named_parameters() if name in start and weight.equal(start[name])] == []
    after = logits(model)
    assert not torch.allclose(after, before, atol=1e-2)
    save_adapter(model, "lora", tmp_path / "adapter")
    again = load_adapter(loaded(bases(kind)), tmp_path / "adapter")
    assert float((logits(again) - after).abs().max()) < 1e-3
    check_answers(kind, again, tokenizer)


NEVER_TRAINED = ("llama4_text", "falcon_h1", "mamba", "mamba2")
"""Kinds whose training failed where PEFT chose the layers."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.unknown_library_warnings
def test_other_layers_than_those_of_peft_are_told_from_the_configuration(kind: str, bases: Any) -> None:
    from peft import LoraConfig

    from sft.adapters.lora.targets import choose_targets
    from sft.models.config_file import has_other_layers, read_config
    from sft.models.library_warnings import forget_warnings, noted_warnings

    config = LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM")
    model = loaded(bases(kind))
    forget_warnings()
    choose_targets(model, config, None)
    is_left_out = kind in ("gpt_oss", "llama4_text")
    assert len(noted_warnings()) == is_left_out
    told = has_other_layers(read_config("", bases(kind), None), CAUSAL_LM)
    assert (config.target_modules != "all-linear") == (told or kind in NEVER_TRAINED)


def test_every_kind_whose_experts_peft_names_anew_is_known() -> None:
    from peft.utils.transformers_weight_conversion import _MODEL_TO_CONVERSION_PATTERN, _MOE_FUSED_TARGETS
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    from sft.models.config_file import WEIGHING_LAYERS

    named = {kind for kind, other in _MODEL_TO_CONVERSION_PATTERN.items() if other in _MOE_FUSED_TARGETS}
    assert named & set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) <= WEIGHING_LAYERS


def check_answers(kind: str, model: Any, tokenizer: Any) -> None:
    import numpy as np

    from sft.inference.generation import GenerationSettings, generate_texts
    from sft.inference.label_scoring.grouping import PassLimits
    from sft.inference.label_scoring.scoring import score_labels
    from sft.inference.stopping import decoded

    scores = score_labels(model, PROMPTS, LABELS, PassLimits(tokens=24))
    found = scores.answer_logprobs + scores.stop_logprobs
    assert (scores.slow_reason is None) == (kind in CACHED)
    assert np.abs(found - one_by_one(model)).max() < NATS
    settings = GenerationSettings({"max_new_tokens": 5}, (EOS,), "", 2, 1, frozenset({PAD, EOS}))
    texts = generate_texts(model, tokenizer, PROMPTS, settings)
    expected = [decoded(tokenizer, greedily(model, prompt, 5)).strip() for prompt in PROMPTS]
    assert texts == expected
