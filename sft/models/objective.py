"""What every objective declares; it lies beside the models so that adapters know it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ModelKind = Literal["decoder"]
Output = Literal["label_scores", "texts"]


@dataclass(frozen=True)
class Answers:
    """The way to outputs of one kind, each part as `package.module:object`."""

    infer: str
    """What an infer stage runs: limits, memory steps and the file it leaves (`sft.inference.answering.Answering`)."""
    read: str
    """What an evaluate stage reads the file with: predictions by split."""


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

    def loader(self) -> Any:
        """The Auto class itself; importing it loads torch."""
        import transformers

        return getattr(transformers, self.auto_class)

    def class_of(self, model_type: str | None) -> str | None:
        """The name of the class that a model of this type gets; None where transformers has none."""
        from transformers.models.auto import modeling_auto

        names: Mapping[str | None, str] = getattr(modeling_auto, self.classes)
        return names.get(model_type)
