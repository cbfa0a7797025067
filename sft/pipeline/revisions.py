"""Which experiments a mended fault touches: their stages run again under another key, and nobody else's do.

A stage's version number is raised only where no field of a config tells which experiments are touched.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sft.adapters.lora.initialization import InitChoice
from sft.adapters.virtual_tokens import planned_virtual_tokens
from sft.config.library.defaults import dataclass_defaults
from sft.config.library.keys import SFT_CONFIG
from sft.config.model import ModelConfig
from sft.config.prompting import PromptingConfig
from sft.objectives import objective_of
from sft.pipeline.experiment import Experiment
from sft.pipeline.needed_rows import fits_threshold
from sft.runs.records import StageName
from sft.tasks.inputs import task_of
from sft.training.options import chosen_trainer_args, keeps_best, trainer_args_of


@dataclass(frozen=True)
class Revision:
    """One mended fault: the number rises each time that the result of the touched experiments changes again."""

    stage: StageName
    number: int
    """2 for the first mended fault of this name; 1, the result before it, is never written into a key."""
    touches: Callable[[Experiment], bool]
    """Whether the fault changed the result of this experiment's stage."""


def _has_odd_fields(prompting: PromptingConfig) -> bool:
    """Whether an input template writes doubled braces, or names a column with quotes, braces or line breaks."""
    template = prompting.input_template or ""
    odd_columns = [column for column in prompting.input_columns if set(column) & set("{}\"'\n")]
    return "{{" in template or "}}" in template or any(f"{{{column}}}" in template for column in odd_columns)


def _saves_at_other_steps_than_it_evaluates(experiment: Experiment) -> bool:
    if not keeps_best(chosen_trainer_args(experiment.config)):
        return False
    args = {**dataclass_defaults(SFT_CONFIG), **trainer_args_of(experiment.config)}
    by_steps = args["eval_strategy"] == args["save_strategy"] == "steps"
    return by_steps and bool(args["eval_steps"] != args["save_steps"])


def _may_be_half(model: ModelConfig) -> bool:
    """Whether a model's weights may have 16 bits; on a GPU they have where nothing is said."""
    written = str(model.model_args.get("dtype", model.model_args.get("torch_dtype")))
    return written.removeprefix("torch.") not in ("float32", "float64")


def _may_tie_in_half(experiment: Experiment) -> bool:
    """Whether label scores are those of a model whose written type has 16 bits, or may have: `auto` is its file's.

    Where nothing is written, a machine without a GPU takes fp32, and its results stay.
    """
    return task_of(experiment.config).uses("inference.label_scoring") and _is_written_half(experiment.config.model)


def _is_written_half(model: ModelConfig) -> bool:
    return not {"dtype", "torch_dtype"}.isdisjoint(model.model_args) and _may_be_half(model)


def _head_may_tie_in_half(experiment: Experiment) -> bool:
    """Whether such scores are of a model with a head, whose last layer stayed in 16 bits for longest."""
    has_head = objective_of(experiment.config, task_of(experiment.config).objectives).has_head
    return has_head and _is_written_half(experiment.config.model)


def _trains_sigmoid_head(experiment: Experiment) -> bool:
    """Whether the loss of a head was divided by the number of its labels once too often."""
    task = task_of(experiment.config)
    return task.has_label_sets and objective_of(experiment.config, task.objectives).has_head


def _decoder_may_tie_in_half(experiment: Experiment) -> bool:
    """Whether such scores are of a decoder of its own, whose output layer stayed in 16 bits for longer."""
    reads = objective_of(experiment.config, task_of(experiment.config).objectives).reads
    return reads == "source" and _may_tie_in_half(experiment)


def _init_of(experiment: Experiment) -> InitChoice:
    return InitChoice.of(experiment.config.adapter_options.get("init_lora_weights") or True)


def _init_of_any(experiment: Experiment) -> InitChoice:
    """Also of the methods that call it by another name."""
    options = experiment.config.adapter_options
    return InitChoice.of(options.get("init_lora_weights") or options.get("init_weights") or True)


def _moved_half_weights(experiment: Experiment) -> bool:
    """Whether an initialisation of PEFT's own rounded what it left of the base."""
    return _init_of(experiment).moves_base and _may_be_half(experiment.config.model)


def _begins_orthogonal_in_half(experiment: Experiment) -> bool:
    """Whether orthogonal factors were rounded to 16 bits, in which their product is not zero."""
    return _init_of(experiment) == InitChoice("peft", "orthogonal") and _may_be_half(experiment.config.model)


def _moved_shared_weights(experiment: Experiment) -> bool:
    """Whether s B0 A0 was taken off the weights of repeated layers once for each of them."""
    init = _init_of(experiment)
    moves = init.kind == "own" or init.name == "pissa"
    return moves and bool(experiment.config.adapter_options.get("layer_replication"))


def _trains_half_modules(experiment: Experiment) -> bool:
    """Whether modules of a base of 16 bits may be trained in full."""
    options = experiment.config.adapter_options
    trains = bool(options.get("modules_to_save")) or options.get("bias", "none") != "none"
    return trains and _may_be_half(experiment.config.model)


def _reads_fp8(experiment: Experiment) -> bool:
    """Whether an initialiser may have read 8-bit floats without their scales."""
    model, kind = experiment.config.model, _init_of(experiment).kind
    stored = f"{model.name} {model.quantization.config_class if model.quantization else ''}".lower()
    return kind in ("ours", "own") and "fp8" in stored


def _adapts_other_layers(experiment: Experiment) -> bool:
    """Whether layers that text does not pass, or that weigh experts, had adapters, because no targets are named."""
    config = experiment.config
    is_default = config.adapter_options.get("target_modules") in (None, "all-linear")
    told = "other_layers" in experiment.fingerprints.prompt_traits.get("model", ())
    return config.adapter_method == "lora" and is_default and config.model.adapter is None and told


def _padded_what_mixes_it_in(experiment: Experiment) -> bool:
    """Whether a head's outputs for rows of unequal length depended on those that ran beside them."""
    return "mixes_padding" in experiment.fingerprints.prompt_traits.get("model", ())


def _found_other_directions(experiment: Experiment) -> bool:
    """Whether the largest directions of wide layers were found by half of the iterations."""
    config, told = experiment.config, experiment.fingerprints.prompt_traits.get("model", ())
    starts_from_them = config.trains and config.model.adapter is None
    return starts_from_them and "wide_layers" in told and _init_of(experiment) in _LARGEST_DIRECTIONS


def _found_directions_otherwise(experiment: Experiment) -> bool:
    """Whether an adapter begins at singular triplets that were found to other last digits."""
    config = experiment.config
    return config.trains and config.model.adapter is None and _init_of_any(experiment) in _OF_SPECTRA


def _looks_at_gradients_of_a_head(experiment: Experiment) -> bool:
    """Whether an adapter may begin at gradients of a head's loss that was rounded to 16 bits, or of another loss.

    Sets of one label were taken for numbers to be met.
    """
    config, init = experiment.config, _init_of_any(experiment)
    may_look = init.kind == "own" or init == InitChoice("peft", "lora_ga")
    begins = config.trains and config.model.adapter is None and may_look
    if not begins or not objective_of(config, task_of(config).objectives).has_head:
        return False
    is_one = task_of(config).has_label_sets and len(experiment.fingerprints.labels or ()) == 1
    return is_one or _may_be_half(config.model)


def _writes_behind_virtual_tokens(experiment: Experiment) -> bool:
    """Whether texts of a trained adapter of virtual tokens were written with padding inside the prompts of a batch."""
    config = experiment.config
    is_measured = config.model.adapter is not None and not config.trains
    writes = is_measured and task_of(config).uses("inference.generation_args")
    return writes and planned_virtual_tokens(config, experiment.folder) > 0


def _draws_label_sets(experiment: Experiment) -> bool:
    """Whether rows with any number of labels were cut or sampled by whole combinations, the rare ones never tested."""
    config = experiment.config
    if not task_of(config).has_label_sets:
        return False
    dataset = config.dataset
    caps = (dataset.max_n_train, dataset.max_n_dev, dataset.max_n_test)
    return dataset.splits.cut_one_split or fits_threshold(config) or any(cap is not None for cap in caps)


def _cuts_whole_texts(experiment: Experiment) -> bool:
    """Whether equal texts that are learned whole may have come to both sides of a cut."""
    config = experiment.config
    return task_of(config).reads == "whole" and config.dataset.splits.cut_one_split


def _of_trait(stage: StageName, name: str) -> Revision:
    return Revision(stage, 2, lambda it: name in it.fingerprints.prompt_traits.get(stage, ()))


_LARGEST_DIRECTIONS = [InitChoice("ours", name) for name in ("pca", "pissa", "pissa_simplified")]
_OF_SPECTRA = [*_LARGEST_DIRECTIONS, *(InitChoice("ours", name) for name in ("eva", "loftq", "milora"))]
_TRAITS_OF_ALL = ("named_template", "read_instruction", "unusual_clock")
_TRAITS_OF_TEXTS = ("end_before_words", "stop_in_text")
"""Of no training: with the one no answer went, the other is of how generation ends."""

REVISIONS: Mapping[str, Revision] = {
    "input_template_in_training": Revision("train", 2, lambda it: _has_odd_fields(it.config.prompting)),
    "input_template": Revision("infer", 2, lambda it: _has_odd_fields(it.config.inference_prompting)),
    "tab_quotes_in_training": Revision("train", 2, lambda it: it.fingerprints.keeps_quotes),
    "tab_quotes": Revision("infer", 2, lambda it: it.fingerprints.keeps_quotes),
    "best_step": Revision("train", 2, _saves_at_other_steps_than_it_evaluates),
    "moved_half_weights": Revision("train", 2, _moved_half_weights),
    "orthogonal_in_half": Revision("train", 2, _begins_orthogonal_in_half),
    "moved_shared_weights": Revision("train", 2, _moved_shared_weights),
    "half_modules": Revision("train", 2, _trains_half_modules),
    "half_head": Revision("infer", 2, _may_tie_in_half),
    "half_head_of_decoder": Revision("infer", 2, _decoder_may_tie_in_half),
    "half_head_of_labels": Revision("infer", 2, _head_may_tie_in_half),
    "padded_head": Revision("infer", 2, _padded_what_mixes_it_in),
    "sigmoid_head": Revision("train", 2, _trains_sigmoid_head),
    "head_gradients": Revision("train", 2, _looks_at_gradients_of_a_head),
    "virtual_tokens": Revision("infer", 2, _writes_behind_virtual_tokens),
    "fp8_scales": Revision("train", 2, _reads_fp8),
    "other_layers": Revision("train", 2, _adapts_other_layers),
    "partial_spectrum": Revision("train", 2, _found_directions_otherwise),
    "wide_layers": Revision("train", 2, _found_other_directions),
    "label_set_strata_in_training": Revision("train", 2, _draws_label_sets),
    "label_set_strata": Revision("infer", 2, _draws_label_sets),
    "label_set_strata_of_baselines": Revision("baseline", 2, _draws_label_sets),
    "whole_text_cut_in_training": Revision("train", 2, _cuts_whole_texts),
    "whole_text_cut": Revision("infer", 2, _cuts_whole_texts),
    "whole_text_sums": Revision("infer", 2, lambda it: task_of(it.config).reads == "whole"),
    **{f"{name}_in_training": _of_trait("train", name) for name in _TRAITS_OF_ALL},
    **{name: _of_trait("infer", name) for name in (*_TRAITS_OF_ALL, *_TRAITS_OF_TEXTS)},
}
"""Name of what was mended -> the revision in force."""


def revisions_of(stage: StageName, experiment: Experiment) -> dict[str, int] | None:
    """The revisions that a stage's key holds, by name; None where no mended fault touches the experiment."""
    touching = {
        name: revision.number
        for name, revision in REVISIONS.items()
        if revision.stage == stage and revision.touches(experiment)
    }
    return touching or None
