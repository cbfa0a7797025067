"""Task types: what a row means, what the model is asked for, how its output becomes a prediction."""

from sft.registry import Registry

task_registry: Registry = {
    "classification": "sft.tasks.classification:TASK",
    "multilabel": "sft.tasks.multilabel:TASK",
    "generation": "sft.tasks.generation:TASK",
    "summarization": "sft.tasks.summarization:TASK",
    "text": "sft.tasks.text:TASK",
    "translation": "sft.tasks.translation:TASK",
}
