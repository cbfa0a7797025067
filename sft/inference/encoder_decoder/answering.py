"""How an encoder-decoder answers: by the scores of labels that its decoder could write, or by what it writes."""

from typing import TYPE_CHECKING

from sft.inference.answering import Asked
from sft.inference.label_scoring.answering import LabelScoring
from sft.inference.texts import MAX_NEW_TOKENS, Texts, most_new_tokens
from sft.models.answering.decoders import require_places
from sft.tasks.inputs import Inputs
from sft.tasks.prompting import StagePrompts

if TYPE_CHECKING:
    from sft.inference.label_scoring.scoring import LabelScores


class SourceScoring(LabelScoring):
    """Label scores, for which the decoder runs once over each label."""

    def answer_tokens(self, inputs: Inputs, prompts: StagePrompts) -> int:
        """None of those that the encoder reads."""
        return 0

    def scored(self, asked: Asked) -> "LabelScores":
        """The scores of all labels.

        Raises:
            UserError: kind model: the decoder has no places for a label.
        """
        from sft.inference.encoder_decoder.scoring import score_labels

        opening, labels = asked.maker.inference.decoder_opening(asked.model.config), asked.maker.inference.labels
        for label in labels:
            n_written = len(label.answer_ids) + len(label.stop_ids)
            require_places(asked.model.config, len(opening), n_written, f"the label {label.word!r} has")
        ids = [(label.answer_ids, label.stop_ids) for label in labels]
        rows = [prompt.prompt_ids for prompt in asked.prompts]
        return score_labels(asked.model, rows, opening, ids, asked.limits, asked.progress)


class SourceTexts(Texts):
    """Texts that the decoder writes."""

    def answer_tokens(self, inputs: Inputs, prompts: StagePrompts) -> int:
        """None of those that the encoder reads."""
        return 0

    def opening(self, asked: Asked) -> tuple[int, ...]:
        """What the decoder begins with.

        Raises:
            UserError: kind model: it has no places for all that may be written.
        """
        opening = asked.maker.inference.decoder_opening(asked.model.config)
        n_new = most_new_tokens(asked.inputs.config)
        require_places(asked.model.config, len(opening), n_new, f"{MAX_NEW_TOKENS} asks for")
        return opening


LABEL_SCORES, TEXTS = SourceScoring(), SourceTexts()
