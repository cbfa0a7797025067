"""What every objective declares; it lies beside the models so that adapters know it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sft.config.library.keys import mapping_entries

ModelKind = Literal["decoder", "encoder", "encoder_decoder"]
Output = Literal["label_scores", "label_sets", "texts", "token_sums"]
RowForm = Literal["prompt", "text", "source", "whole"]
LANGUAGES = frozenset(
    f"{section}.{key}" for section in ("prompting", "inference.prompting") for key in ("source_lang", "target_lang")
)
"""Settings that tokenizers of encoder-decoders alone may read."""
AUTO_CLASSES = "transformers.models.auto.modeling_auto"


@dataclass(frozen=True)
class Answers:
    """The way to outputs of one kind, each part as `package.module:object`."""

    infer: str
    """What an infer stage runs: limits, memory steps and the file it leaves (`sft.inference.answering.Answering`)."""
    read: str
    """What an evaluate stage reads the file with: predictions by split."""
    own_loss: str | None = None
    """What computes the loss, where it is not that of the objective, as `Objective.own_loss`."""
    loss: str | None = None
    """As `Objective.loss`, where the loss is not that of the objective."""
    problem_type: str | None = None
    """What transformers calls it in the config of a model with a head, by which its pipelines read the outputs."""


@dataclass(frozen=True)
class Objective:
    """How a model answers."""

    name: str
    auto_class: str
    """The transformers Auto class that loads a model for it."""
    classes: str
    """The mapping in `transformers.models.auto.modeling_auto`, model type -> class, behind that Auto class."""
    model_kinds: tuple[ModelKind, ...]
    """The kinds of model that can answer so."""
    peft_task_type: str
    """`peft.TaskType` of an adapter."""
    trainer: str
    """What trains a model on its rows, as `package.module:object` (as `sft.training.trainer.train_model`)."""
    answers: Mapping[Output, Answers]
    """What a task may want of a model -> how it is computed and read."""
    key_fields: Mapping[str, str] = field(default_factory=dict)
    """What the keys of train and infer stages hold of it; nothing for the objective that needed no name."""
    reads: RowForm = "prompt"
    """How a row is written: `prompt`, the answer follows it; `text`, its text alone; `source`, an encoder reads it and
    a decoder of its own writes the answer. A task type may say otherwise: `whole`, the text is what is learned.
    """
    own_loss: str | None = None
    """What computes the loss, where it is not that of the next token, as `TrainingObjective.own_loss`."""
    loss: str | None = None
    """What a point of the loss curve is, in words, where the loss is not that of the next token."""
    clashes: Mapping[str, str] = field(default_factory=dict)
    """Argument of the trainer that a training does not go with -> why."""
    has_head: bool = False
    """Whether a layer of the model gives one number for each label; where a checkpoint lacks it, it is new."""
    without_effect: frozenset[str] = frozenset()
    """Dotted paths of settings that have no effect: what is written there counts as left out."""

    def loader(self) -> Any:
        """The Auto class itself; importing it loads torch."""
        import transformers

        return getattr(transformers, self.auto_class)

    def class_of(self, model_type: str | None) -> str | None:
        """The name of the class that a model of this type gets; None where transformers has none."""
        return None if model_type is None else mapping_entries(f"{AUTO_CLASSES}:{self.classes}").get(model_type)
