"""The `model` section: the base model, how it is quantised and loaded, and an adapter to begin from."""

from typing import Any

from sft.config.section import Section


class QuantizationConfig(Section):
    """Quantisation through a transformers class."""

    config_class: str
    """Name of a transformers quantization config class, such as `BitsAndBytesConfig`."""

    args: dict[str, Any] = {}
    """Its arguments; data types as text (`bfloat16`); default {}."""


class ModelConfig(Section):
    """The base model."""

    name: str
    """Hub id or local folder, or a local GGUF file; relative to the grid file."""

    auto_class: str | None = None
    """Transformers Auto class that loads the model, by its own name, which says how the model answers; default the
    first of the task type's that this kind of model can be loaded by.

    `AutoModelForCausalLM` writes or scores the answer after the prompt; `AutoModelForSeq2SeqLM` reads the prompt with
    an encoder, and its decoder writes or scores the answer; `AutoModelForSequenceClassification` has a head with one
    output for each label.
    """

    quantization: QuantizationConfig | None = None
    """Quantisation at loading; default none."""

    model_args: dict[str, Any] = {}
    """Passed to `from_pretrained`; also `parallelize` and `no_split_module_classes`; default {}.

    Data type: bf16 on CUDA that has it, else fp32.
    """

    chat_template_from: str | None = None
    """Tokenizer (hub id or folder) or .jinja file whose chat template is used; default the model's own."""

    chat_template_args: dict[str, Any] = {}
    """Passed to the chat template; default `{enable_thinking: false}` where the template knows that name."""

    adapter: str | None = None
    """Folder of a trained adapter to measure, or to start a training from; default none."""
