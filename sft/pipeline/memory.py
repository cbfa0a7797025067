"""Whether a stage that ran out of memory can be tried with less."""

from sft.inference.answering import answering_of
from sft.runs.records import JobRecord
from sft.training.memory import with_less_memory
from sft.training.options import trainer_args_of


def has_memory_step(record: JobRecord, step: int) -> bool:
    """Whether a stage knows how to run after `step` steps towards less memory (`JobRecord.memory_step`).

    Args:
        record: the job.
        step: 0 is the stage as configured.
    """
    if record.stage == "train":
        return with_less_memory(trainer_args_of(record.experiment), step) is not None
    if record.stage == "infer":
        return answering_of(record.experiment).has_step(record.experiment, step)
    return step == 0
