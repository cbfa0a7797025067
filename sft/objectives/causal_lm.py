"""Causal language modelling: a decoder reads a prompt, and its answer is what may follow."""

from sft.models.objective import LANGUAGES, Answers, Objective

OBJECTIVE = Objective(
    name="causal_lm",
    auto_class="AutoModelForCausalLM",
    classes="MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    model_kinds=("decoder",),
    peft_task_type="CAUSAL_LM",
    trainer="sft.training.trainer:train_model",
    answers={
        "label_scores": Answers(
            infer="sft.inference.label_scoring.answering:ANSWERING", read="sft.evaluation.outputs:from_scores"
        ),
        "label_sets": Answers(
            infer="sft.inference.label_scoring.questions:ANSWERING", read="sft.evaluation.set_outputs:from_questions"
        ),
        "texts": Answers(infer="sft.inference.texts:ANSWERING", read="sft.evaluation.outputs:from_texts"),
        "token_sums": Answers(
            infer="sft.inference.whole_texts:ANSWERING", read="sft.evaluation.outputs:from_token_sums"
        ),
    },
    without_effect=LANGUAGES,
)
