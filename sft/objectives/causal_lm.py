"""Causal language modelling: a decoder reads a prompt, and its answer is what may follow."""

from sft.models.objective import Objective

OBJECTIVE = Objective(
    name="causal_lm",
    auto_class="AutoModelForCausalLM",
    classes="MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    model_kinds=("decoder",),
    peft_task_type="CAUSAL_LM",
)
