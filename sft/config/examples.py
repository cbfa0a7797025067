"""How the in-context examples of a section are chosen, without what is written and has no effect."""

from dataclasses import dataclass

from sft.config.experiment import ExperimentConfig
from sft.config.inference import InferenceConfig
from sft.config.training import ExampleSelection, TrainingConfig

TRAINING, INFERENCE = "training", "inference"


@dataclass(frozen=True)
class ExampleChoice:
    """The choice of the in-context examples in training or at inference."""

    k: int
    """Examples per label, or in total for generation; 0 = none, and then the rest is as by default."""

    selection: ExampleSelection = "random"
    """`random`, or `nearest`."""

    encoder: str | None = None
    """Sentence-embedding model that `nearest` compares with; None = words."""

    def is_seeded(self, per_label: bool) -> bool:
        """Whether `seeds.icl` has an effect: on what is drawn, or, of the nearest per label, on the labels' order."""
        return self.k > 0 and (self.selection == "random" or per_label)


def training_choice(config: ExperimentConfig) -> ExampleChoice:
    """The examples before training rows; none where nothing is trained."""
    if config.training is None or not config.trains:
        return ExampleChoice(0)
    return _in_force(config.training)


def inference_choice(config: ExperimentConfig) -> ExampleChoice:
    """The examples before evaluated rows."""
    return _in_force(config.inference)


def encoders_in_force(config: ExperimentConfig) -> dict[str, str]:
    """Section (`training`, `inference`) -> the sentence-embedding model that chooses its examples."""
    choices = {TRAINING: training_choice(config), INFERENCE: inference_choice(config)}
    return {section: choice.encoder for section, choice in choices.items() if choice.encoder is not None}


def _in_force(section: TrainingConfig | InferenceConfig) -> ExampleChoice:
    if not section.icl_examples or section.icl_selection == "random":
        return ExampleChoice(section.icl_examples)
    return ExampleChoice(section.icl_examples, section.icl_selection, section.icl_encoder)
