"""A head on the model gives one number for each label: the model reads a row's text and writes nothing."""

from sft.models.objective import LANGUAGES, Answers, Objective

_EXAMPLES = ("icl_examples", "icl_selection", "icl_encoder")
_WORDING = ("instruction", "format", "label_template")

OBJECTIVE = Objective(
    name="sequence_head",
    auto_class="AutoModelForSequenceClassification",
    classes="MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES",
    model_kinds=("encoder", "decoder"),
    peft_task_type="SEQ_CLS",
    trainer="sft.training.trainer:train_model",
    answers={
        "label_scores": Answers(
            infer="sft.inference.heads:ANSWERING",
            read="sft.evaluation.outputs:from_head",
            problem_type="single_label_classification",
        ),
        "label_sets": Answers(
            infer="sft.inference.heads:OF_SETS",
            read="sft.evaluation.set_outputs:from_head",
            own_loss="sft.training.objectives.head_loss:SetHeadLoss",
            loss="mean over pairs of row and label of the cross-entropy of the label's being there, in nats",
            problem_type="multi_label_classification",
        ),
    },
    key_fields={"answers": "sequence_head"},
    reads="text",
    own_loss="sft.training.objectives.head_loss:HeadLoss",
    loss="mean over rows of the cross-entropy of the right label, in nats",
    clashes={
        **dict.fromkeys(("packing", "eval_packing", "padding_free"), "joins rows, and a head answers once for each"),
        "label_smoothing_factor": "is taken of the tokens of an answer, which a head does not write",
        "router_aux_loss_coef": "is no part of the loss of a head",
    },
    has_head=True,
    without_effect=frozenset(
        {
            *(f"{section}.{key}" for section in ("training", "inference") for key in _EXAMPLES),
            *(f"{section}.{key}" for section in ("prompting", "inference.prompting") for key in _WORDING),
            *LANGUAGES,
            "dataset.negatives",
            "inference.random_icl",
            "training.last_layer",
            "inference.label_scoring",
            "model.chat_template_from",
            "model.chat_template_args",
        }
    ),
)
