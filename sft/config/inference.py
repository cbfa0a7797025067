"""The `inference` section: how the evaluated rows are run, how labels are scored and calibrated."""

from typing import Annotated, Any, Literal

from pydantic import Field

from sft.config.prompting import PromptingOverrides, Tokens
from sft.config.section import Section
from sft.config.training import ExampleSelection

DEFAULT_THRESHOLD = 0.5


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

    threshold: Annotated[float, Field(gt=0, lt=1)] | Literal["fit"] = DEFAULT_THRESHOLD
    """Multilabel: least probability of a label that is predicted, or `fit`: chosen by micro F1 on training rows;
    default 0.5.
    """

    prompting: PromptingOverrides = PromptingOverrides()
    """Keys of `prompting` that differ at inference only."""

    tokenizer_name: str | None = None
    """Used as `evaluation.tokenizer_name` where that is not set."""

    def _values(self) -> dict[str, Any]:
        """Of `prompting` what is written: what is left out stays as in the other section of that name."""
        return super()._values() | {"prompting": self.prompting.model_dump(mode="json", exclude_unset=True)}
