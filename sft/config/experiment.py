"""One experiment as a user writes it; every field says its meaning, unit and default."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from sft.config.dataset import DatasetConfig
from sft.config.section import Section

Seed = Annotated[int, Field(ge=0, lt=2**53)]
Tokens = Annotated[int, Field(ge=1)]
SeedName = Literal["shots", "icl", "init", "training"]
ExampleSelection = Literal["random", "nearest"]


class SeedsConfig(Section):
    """Seeds of the single sources of chance."""

    shots: Seed | None = None
    """Draw of the shots; default `seed`."""

    icl: Seed | None = None
    """Draw and order of the in-context examples; default `seed`."""

    init: Seed | None = None
    """Initial adapter weights; default `seed`."""

    training: Seed | None = None
    """Order of the training rows and dropout; default `seed`."""


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


class PromptingConfig(Section):
    """How a row becomes a prompt."""

    instruction: str | None = None
    """System turn, or first paragraph of the plain format; `{labels}` becomes the label words; default none."""

    input_columns: Annotated[list[str], Field(min_length=1)]
    """Columns the model reads; several become `Column: text` lines."""

    input_template: str | None = None
    """Text with a `{column}` field for each in place of the lines; `{{`, `}}` are literal braces; default none."""

    output_column: str
    """Column with the gold label or reference text."""

    max_input_length: Tokens | None = None
    """Tokens kept of each input column, from its start; default all."""

    max_output_length: Tokens | None = None
    """Tokens kept of the output in prompts and training, never of a reference; default all. A label is never cut."""

    format: Literal["auto", "chat", "plain"] = "auto"
    """`chat`: the chat template; `plain`: question and `Answer:`; default auto: chat where there is a template."""


class PromptingOverrides(Section):
    """Keys of `prompting` that differ at inference; one that is left out stays as in `prompting`."""

    instruction: str | None = None
    """As `prompting.instruction`."""

    input_columns: Annotated[list[str], Field(min_length=1)] | None = None
    """As `prompting.input_columns`."""

    input_template: str | None = None
    """As `prompting.input_template`."""

    max_input_length: Tokens | None = None
    """As `prompting.max_input_length`."""

    max_output_length: Tokens | None = None
    """As `prompting.max_output_length`."""

    format: Literal["auto", "chat", "plain"] | None = None
    """As `prompting.format`."""


class TrainingConfig(Section):
    """How the adapter is trained."""

    icl_examples: Annotated[int, Field(ge=0)] = 0
    """In-context examples before each training row, per label for classification; default 0."""

    icl_selection: ExampleSelection = "random"
    """`random`, or `nearest`: the rows of the pool that are most like the training row; default random."""

    icl_encoder: str | None = None
    """Sentence-embedding model (hub id or folder) by which `nearest` compares; default none: TF-IDF of the words."""

    trainer_args: dict[str, Any] = {}
    """Everything `trl.SFTConfig` takes; `max_seq_length` is an alias of `max_length`; default {}."""


class LabelScoringConfig(Section):
    """How the scores of labels are compared, from what the infer stage saved."""

    normalization: Literal["sum", "mean", "chars", "pmi"] = "sum"
    """`sum` of the log-probabilities, `mean` per token, per character (`chars`), or `pmi`: less the label's score
    without an input; default sum.
    """

    end_token: bool = True
    """Whether the stop's tokens count, so that "1" and "12" can be compared; default true."""


class InferenceConfig(Section):
    """How the evaluated rows are run through the model."""

    icl_examples: Annotated[int, Field(ge=0)] = 0
    """In-context examples before each row, per label for classification; default 0."""

    random_icl: bool = False
    """Draw the examples anew for each row; default false: one fixed set."""

    icl_selection: ExampleSelection = "random"
    """`random`, or `nearest`: for each row the rows of the pool that are most like it; default random."""

    icl_encoder: str | None = None
    """Sentence-embedding model (hub id or folder) by which `nearest` compares; default none: TF-IDF of the words."""

    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Prompts per forward pass; default: as many as the machine's memory allows (8 when sampling). In no id unless
    sampling.
    """

    max_seq_length: Tokens | None = None
    """Longest prompt in tokens; default: the model's context less room for the answer."""

    generation_args: dict[str, Any] = {}
    """Passed to `generate`; default greedy, `max_new_tokens` = `prompting.max_output_length` or 128."""

    label_scoring: LabelScoringConfig = LabelScoringConfig()
    """How the scores of labels are compared."""

    calibration_args: dict[str, Any] = {}
    """`calibration_fn` and that calibrator's options; default `{calibration_fn: none}`."""

    prompting: PromptingOverrides = PromptingOverrides()
    """Keys of `prompting` that differ at inference only."""

    tokenizer_name: str | None = None
    """Used as `evaluation.tokenizer_name` where that is not set."""


class EvaluationConfig(Section):
    """Which metrics are computed; any other key must be an argument of a chosen metric."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, use_attribute_docstrings=True)

    metrics: Annotated[list[str], Field(min_length=1)] | None = None
    """Names of metrics, the first ranks; default by task type."""

    tokenizer_name: str | None = None
    """Hub or local tokenizer that splits words for BLEU and ROUGE; default theirs."""

    strict_leaks: bool = False
    """A shot or in-context example found among the evaluated rows is an error; default false. In no id."""


class ResourcesConfig(Section):
    """What each stage that loads a model, also one of a metric, gets of the machine; in no id."""

    gpus: Annotated[int, Field(ge=0)] | None = None
    """GPUs leased to a stage; default: 1 where there is a GPU, else 0; with `model_args.parallelize` all."""


class ExperimentConfig(Section):
    """One experiment."""

    name: str | None = None
    """Shown on the board; in a grid the key of the map."""

    seed: Seed = 13
    """Default of all `seeds`; default 13."""

    seeds: SeedsConfig = SeedsConfig()
    """Seeds of the single sources of chance."""

    dataset: DatasetConfig
    """The data."""

    model: ModelConfig
    """The base model."""

    lora: dict[str, Any] | None = None
    """Everything `peft.LoraConfig` takes; shorthand for `adapter: {method: lora, ...}`; default none."""

    adapter: dict[str, Any] | None = None
    """`method` and that method's options; default none: nothing is trained."""

    prompting: PromptingConfig
    """How a row becomes a prompt."""

    training: TrainingConfig | None = None
    """How the adapter is trained; default: the defaults of its fields."""

    inference: InferenceConfig = InferenceConfig()
    """How the evaluated rows are run through the model."""

    evaluation: EvaluationConfig = EvaluationConfig()
    """Which metrics are computed."""

    resources: ResourcesConfig = ResourcesConfig()
    """What each stage that loads a model gets of the machine."""

    def seed_of(self, source: SeedName) -> int:
        """The seed of one source of chance."""
        own: int | None = getattr(self.seeds, source)
        return self.seed if own is None else own

    def resolved(self) -> dict[str, Any]:
        """The config as JSON values with every default written out, which reads back as the same config."""
        record = self.model_dump(mode="json")
        overrides = self.inference.prompting.model_dump(mode="json", exclude_unset=True)
        return record | {"inference": record["inference"] | {"prompting": overrides}}

    @property
    def inference_prompting(self) -> PromptingConfig:
        """`prompting` overlaid by `inference.prompting`."""
        overrides = self.inference.prompting
        written = {key: getattr(overrides, key) for key in overrides.model_fields_set}
        for key in ("input_columns", "format"):  # `prompting` has no null for these: null leaves them as they are
            if written.get(key) is None:
                written.pop(key, None)
        return self.prompting.model_copy(update=written)

    @property
    def adapter_method(self) -> str:
        """Name of the adapter method; `none` when nothing is trained by this config."""
        if self.lora is not None:
            return "lora"
        return "none" if self.adapter is None else str(self.adapter.get("method", "none"))

    @property
    def adapter_options(self) -> dict[str, Any]:
        """Options of the adapter method, without its name."""
        written = self.lora if self.lora is not None else (self.adapter or {})
        return {key: value for key, value in written.items() if key != "method"}

    @property
    def trains(self) -> bool:
        """Whether there is a train stage: an adapter and at least one shot."""
        return self.adapter_method != "none" and self.dataset.shots != 0

    @property
    def calibration(self) -> str:
        """Name of the calibrator."""
        return str(self.inference.calibration_args.get("calibration_fn", "none"))

    @property
    def calibration_options(self) -> dict[str, Any]:
        """Options of the calibrator, without its name."""
        return {key: value for key, value in self.inference.calibration_args.items() if key != "calibration_fn"}

    @property
    def draws_examples_per_row(self) -> bool:
        """Whether each evaluated row has in-context examples of its own."""
        inference = self.inference
        return inference.icl_examples > 0 and (inference.random_icl or inference.icl_selection == "nearest")

    @property
    def uses_shots(self) -> bool:
        """Whether shots have an effect: they are trained on, or shown as in-context examples."""
        return self.dataset.shots != 0 and (self.trains or self.inference.icl_examples > 0)
