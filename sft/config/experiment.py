"""One experiment as a user writes it: its sections, the seeds, and what follows from them together.

Every field says its meaning, unit and default.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import to_jsonable_python

from sft.config.dataset import DatasetConfig
from sft.config.evaluation import EvaluationConfig
from sft.config.inference import InferenceConfig
from sft.config.model import ModelConfig
from sft.config.older_keys import calibration_keys_without_effect
from sft.config.prompting import PromptingConfig
from sft.config.resources import ResourcesConfig
from sft.config.section import Section
from sft.config.training import SaveMethod, TrainingConfig

AdapterSection = Literal["lora", "adapter"]
Seed = Annotated[int, Field(ge=0, lt=2**53)]
SeedName = Literal["shots", "icl", "init", "training"]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
"""Of the JSON Schema, for editors and for reading."""


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
        """The config as JSON values with every default written out, which reads back as the same config.

        Its sections are those of every config that shares them, and not to be changed.
        """
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name: value.as_values if isinstance(value, Section) else to_jsonable_python(value)
            for name, value in fields.items()
        }

    def _values(self) -> dict[str, Any]:
        return self.resolved()

    @property
    def inference_prompting(self) -> PromptingConfig:
        """`prompting` overlaid by `inference.prompting`."""
        overrides = self.inference.prompting
        written = {key: getattr(overrides, key) for key in overrides.model_fields_set}
        # `prompting` has no null for these: null leaves them as they are.
        for key in ("input_columns", "format", "label_template"):
            if written.get(key) is None:
                written.pop(key, None)
        if not written and self.prompting.train_turns == "last":
            return self.prompting
        return self.prompting.model_copy(update={**written, "train_turns": "last"})

    @property
    def adapter_section(self) -> AdapterSection:
        """Name of the section in which the options of the adapter method are written."""
        return adapter_section(vars(self))

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
    def save_method(self) -> SaveMethod:
        """What is left of the training beside its adapter; `adapter`, nothing more, where nothing is trained."""
        return self.training.save_method if self.trains and self.training is not None else "adapter"

    @property
    def trains_head(self) -> bool:
        """Whether the output head is trained beside what the adapter method trains."""
        return self.trains and self.training is not None and self.training.last_layer

    @property
    def calibration(self) -> str:
        """Name of the calibrator."""
        return str(self.inference.calibration_args.get("calibration_fn", "none"))

    @property
    def calibration_options(self) -> dict[str, Any]:
        """Options of the calibrator, without its name and without keys of older tools that it does not have."""
        left_out = ("calibration_fn", *calibration_keys_without_effect(self.calibration))
        return {key: value for key, value in self.inference.calibration_args.items() if key not in left_out}

    @property
    def draws_examples_per_row(self) -> bool:
        """Whether each evaluated row has in-context examples of its own."""
        inference = self.inference
        return inference.icl_examples > 0 and (inference.random_icl or inference.icl_selection == "nearest")

    @property
    def uses_shots(self) -> bool:
        """Whether shots have an effect: they are trained on, or shown as in-context examples."""
        return self.dataset.shots != 0 and (self.trains or self.inference.icl_examples > 0)


def adapter_section(config: Mapping[str, Any]) -> AdapterSection:
    """The section in which the options of the adapter method are written, of a config whose sections are values."""
    return "adapter" if config.get("lora") is None else "lora"


def config_schema() -> dict[str, Any]:
    """The JSON Schema of a config; each description is the docstring of its field."""
    schema = {"$schema": DIALECT, **ExperimentConfig.model_json_schema()}
    sections = schema["$defs"]
    for section in (schema, *sections.values()):
        for field in section["properties"].values():
            # Pydantic leaves out a description that says the same as the section it refers to.
            if "description" not in field and "$ref" in field:
                field["description"] = sections[field["$ref"].rpartition("/")[2]]["description"]
    return schema
