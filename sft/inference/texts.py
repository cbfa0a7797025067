"""Answers that are texts, which the model writes after each prompt."""

from collections.abc import Mapping
from typing import Any

from sft.config.experiment import ExperimentConfig
from sft.inference.answering import MOST_STEPS, Answered, Asked
from sft.inference.options import effective_generation_args, is_sampling, sampling_batch_size
from sft.runs.atomic import write_json_lines
from sft.runs.files import JobFolder
from sft.tasks.inputs import Inputs
from sft.tasks.prompting import StagePrompts

ROWS: Mapping[str, int] = {"cpu": 8}
ROWS_ELSEWHERE = 32
MAX_NEW_TOKENS = "inference.generation_args.max_new_tokens"
"""The key of a config that limits texts; its default is `prompting.max_output_length`."""


class Texts:
    """Texts depend on how much runs at once by rounding alone, but for those that are drawn at random."""

    def has_step(self, config: ExperimentConfig, step: int) -> bool:
        """Until one row runs at a time; no step where texts are drawn."""
        if step == 0:
            return True
        if is_sampling(config.inference.generation_args):
            return False
        written = config.inference.batch_size
        return step <= MOST_STEPS if written is None else written >> step >= 1

    def rows_at_once(self, config: ExperimentConfig, step: int, device: str) -> int:
        """What is written or chosen for the device, halved by each step; the same everywhere where texts are drawn."""
        written = config.inference.batch_size
        if is_sampling(config.inference.generation_args):
            return sampling_batch_size(written)
        rows = ROWS.get(device, ROWS_ELSEWHERE) if written is None else written
        return max(1, rows >> step)

    def answer_tokens(self, inputs: Inputs, prompts: StagePrompts) -> int:
        """Those that may be written."""
        return most_new_tokens(inputs.config)

    def opening(self, asked: Asked) -> tuple[int, ...]:
        """What the model begins its answers with: nothing, as it goes on from the prompt."""
        return ()

    def answer(self, asked: Asked, job: JobFolder) -> Answered:
        """Write `texts.jsonl`."""
        from sft.inference.generation import GenerationSettings, generate_texts

        config, builder = asked.inputs.config, asked.maker.inference.builder
        settings = GenerationSettings(
            generation_args=_arguments(config),
            stop_ids=builder.stop_ids,
            stop_text=builder.stop_text,
            batch_size=asked.limits.rows or 1,
            seed=config.seed,
            first_batch=asked.rows_before // (asked.limits.rows or 1),
            control_ids=builder.control_ids,
            opening=self.opening(asked),
        )
        prompts = [prompt.prompt_ids for prompt in asked.prompts]
        texts = generate_texts(asked.model, asked.maker.tokenizer, prompts, settings, asked.progress)
        records = [
            {"split": split, "source_index": index, "text": text}
            for (split, index), text in zip(asked.places, texts, strict=True)
        ]
        write_json_lines(job.texts, records)
        return Answered(job.texts)


ANSWERING = Texts()


def most_new_tokens(config: ExperimentConfig) -> int:
    """The most tokens that a text may have, its stop among them."""
    return int(_arguments(config)["max_new_tokens"])


def _arguments(config: ExperimentConfig) -> dict[str, Any]:
    """The arguments of generation in force."""
    return effective_generation_args(config.inference.generation_args, config.inference_prompting.max_output_length)
