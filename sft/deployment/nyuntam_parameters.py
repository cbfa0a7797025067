"""What the parameters of nyuntam_adapt are called in a config, or why they have no effect: one table.

Methods, quantisation, what trains a text model, and the text tasks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TRAINER = "training.trainer_args"
QUANTIZATION = "model.quantization.args"


@dataclass(frozen=True)
class Parameter:
    """One parameter of nyuntam_adapt."""

    name: str
    default: Any
    """What holds there where it is left out."""

    key: str | None = None
    """Dotted key of a config that takes its value; None where no key does."""

    note: str = ""
    """Where no key takes it, why it has no effect or what to do instead; else what to mind."""

    values: Mapping[str, str] = field(default_factory=dict)
    """Value there -> value here, of those that have another name."""


def _trainer(
    name: str, default: Any, argument: str, note: str = "", values: Mapping[str, str] | None = None
) -> Parameter:
    return Parameter(name, default, f"{TRAINER}.{argument}", note, values or {})


_TARGETS = "left out: every linear layer but the head"
_LANGUAGE = "where the tokenizer has language codes"
_FAN_IN = "follows from the kind of layer, and need not be written"
_FP32 = "float16 is slow on a CPU: float32, or bfloat16 where the processor has it"

METHODS = (
    Parameter("LoRA", False, "adapter.method", values={"true": "lora"}),
    Parameter("DoRA", False, "adapter.method", values={"true": "dora"}),
    Parameter("SSF", False, "adapter.method", values={"true": "ssf"}),
    Parameter("FULL_FINE_TUNING", False, "adapter.method", values={"true": "full"}),
    Parameter(
        "LAST_LAYER_TUNING",
        False,
        "training.last_layer",
        "beside another method, whose head is then trained as well; alone it is `adapter.method: last_layer`",
    ),
)

LORA = (
    Parameter("r", 8, "adapter.r"),
    Parameter("alpha", 16, "adapter.lora_alpha"),
    Parameter("dropout", 0.1, "adapter.lora_dropout"),
    Parameter("target_modules", None, "adapter.target_modules", _TARGETS),
    Parameter("fan_in_fan_out", False, "adapter.fan_in_fan_out", _FAN_IN),
    Parameter("init_lora_weights", True, "adapter.init_lora_weights", "also names an initialiser, such as pissa"),
)

DORA = (
    Parameter("r", 16, "adapter.r"),
    Parameter("alpha", 8, "adapter.lora_alpha"),
    Parameter("dropout", 0.1, "adapter.lora_dropout"),
    Parameter("target_modules", None, "adapter.target_modules", _TARGETS),
    Parameter("fan_in_fan_out", False, "adapter.fan_in_fan_out", _FAN_IN),
)

FOUR_BIT = (
    Parameter("load_in_4bit", True, f"{QUANTIZATION}.load_in_4bit", "with `config_class: BitsAndBytesConfig`"),
    Parameter("bnb_4bit_compute_dtype", "float16", f"{QUANTIZATION}.bnb_4bit_compute_dtype", _FP32),
    Parameter("bnb_4bit_quant_type", "nf4", f"{QUANTIZATION}.bnb_4bit_quant_type"),
    Parameter("bnb_4bit_use_double_quant", False, f"{QUANTIZATION}.bnb_4bit_use_double_quant"),
)

EIGHT_BIT = (
    Parameter("load_in_8bit", False, f"{QUANTIZATION}.load_in_8bit", "with `config_class: BitsAndBytesConfig`"),
    Parameter("llm_int8_threshold", 6.0, f"{QUANTIZATION}.llm_int8_threshold"),
    Parameter("llm_int8_skip_modules", None, f"{QUANTIZATION}.llm_int8_skip_modules"),
    Parameter("llm_int8_enable_fp32_cpu_offload", False, f"{QUANTIZATION}.llm_int8_enable_fp32_cpu_offload"),
    Parameter("llm_int8_has_fp16_weight", False, f"{QUANTIZATION}.llm_int8_has_fp16_weight"),
)

TRAINING = (
    Parameter(
        "DO_TRAIN", True, None, "the command says it: `sft train` trains and no more, `sft evaluate` trains nothing"
    ),
    Parameter(
        "DO_EVAL", True, None, "the command says it: `sft run-experiment --no-do-eval` stops at the predictions"
    ),
    _trainer("NUM_WORKERS", 4, "dataloader_num_workers", "rows come tokenised, so that workers gain little"),
    _trainer("BATCH_SIZE", 16, "per_device_train_batch_size"),
    _trainer("EPOCHS", 2, "num_train_epochs"),
    _trainer("OPTIMIZER", "adamw_torch", "optim", "any of transformers; paged ones need bitsandbytes"),
    _trainer("LR", 1e-4, "learning_rate", "2e-5 where `full` or `last_layer` trains"),
    _trainer("SCHEDULER_TYPE", "linear", "lr_scheduler_type", "any of transformers"),
    _trainer("WEIGHT_DECAY", 0.0, "weight_decay"),
    _trainer("BETA1", 0.9, "adam_beta1"),
    _trainer("BETA2", 0.999, "adam_beta2"),
    _trainer("ADAM_EPS", 1e-8, "adam_epsilon"),
    _trainer(
        "INTERVAL", "epoch", "save_strategy", "`steps` or `epoch`, of checkpoints; `eval_strategy` needs a dev split"
    ),
    _trainer("INTERVAL_STEPS", 100, "save_steps", "with `save_strategy: steps`"),
    _trainer("NO_OF_CHECKPOINTS", 5, "save_total_limit", "`output_dir` gets those that are kept"),
    _trainer(
        "FP16", False, "fp16", "without effect on a CPU; on a GPU that has it `bf16` is on unless it is written false"
    ),
    Parameter(
        "RESUME_FROM_CHECKPOINT", False, None, "an interrupted training always goes on from its newest checkpoint"
    ),
    _trainer("GRADIENT_ACCUMULATION_STEPS", 1, "gradient_accumulation_steps"),
    _trainer("GRADIENT_CHECKPOINTING", False, "gradient_checkpointing"),
    Parameter(
        "SAVE_METHOD",
        "state_dict",
        "training.save_method",
        "in addition to the adapter, which is always saved",
        {"full_torch_model": "full_model", "save_pretrained": "merged"},
    ),
)

TEXT_GENERATION = (
    _trainer("packing", True, "packing", "with `max_length`"),
    Parameter(
        "dataset_text_field",
        "text",
        "prompting.output_column",
        "with `dataset.task_type: text`, which learns it whole",
    ),
    _trainer("max_seq_length", 512, "max_length"),
    Parameter(
        "flash_attention2",
        False,
        "model.model_args.attn_implementation",
        "needs a GPU and the package flash-attn",
        {"true": "flash_attention_2", "false": "sdpa"},
    ),
)

TEXT_CLASSIFICATION = (
    Parameter(
        "subtask",
        None,
        "dataset.task_type",
        "ner, pos and chunk give each token a label, which no task type does",
        {"null": "classification"},
    ),
)

_TRAIN_SAMPLES = Parameter("MAX_TRAIN_SAMPLES", 1000, "dataset.max_n_train", "caps the train split before shots")
_EVAL_SAMPLES = Parameter("MAX_EVAL_SAMPLES", 1000, "dataset.max_n_test", "the same rows in every experiment")
_TARGET_LENGTH = Parameter(
    "max_target_length", 128, "prompting.max_output_length", "cuts what is trained and shown, never a reference"
)
_EACH_COLUMN = "tokens of each input column"

SUMMARIZATION = (
    _TRAIN_SAMPLES,
    _EVAL_SAMPLES,
    Parameter("max_input_length", 512, "prompting.max_input_length", _EACH_COLUMN),
    _TARGET_LENGTH,
    Parameter("eval_metric", "rouge", "evaluation.metrics", "a list, the first ranks", {"rouge": "rougeLsum"}),
    Parameter("generation_max_length", 128, "inference.generation_args.max_new_tokens", "without it as the outputs"),
)

TRANSLATION = (
    Parameter("max_input_length", 128, "prompting.max_input_length", _EACH_COLUMN),
    _TARGET_LENGTH,
    Parameter(
        "eval_metric",
        "rouge",
        "evaluation.metrics",
        "a list, the first ranks; `bleu_tokenize` chooses how sacrebleu splits words",
        {"sacrebleu": "bleu", "rouge": "rougeL"},
    ),
    Parameter("source_lang", "en", "prompting.source_lang", _LANGUAGE),
    Parameter("target_lang", "ro", "prompting.target_lang", _LANGUAGE),
    Parameter(
        "PREFIX", None, "prompting.input_template", "with the column behind it: `translate English to Russian: {text}`"
    ),
)

SECTIONS: Mapping[str, tuple[Parameter, ...]] = {
    "Methods": METHODS,
    "LoRA": LORA,
    "DoRA": DORA,
    "4 bit Quantization": FOUR_BIT,
    "8 bit Quantization": EIGHT_BIT,
    "Common Training Parameters": TRAINING,
    "Text Generation": TEXT_GENERATION,
    "Text Classification": TEXT_CLASSIFICATION,
    "Summarization": SUMMARIZATION,
    "Translation": TRANSLATION,
}
"""Section of nyuntam_adapt -> its parameters, in its order."""
