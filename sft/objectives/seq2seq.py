"""An encoder reads a prompt, and a decoder of its own writes the answer."""

from sft.models.objective import Answers, Objective

OBJECTIVE = Objective(
    name="seq2seq",
    auto_class="AutoModelForSeq2SeqLM",
    classes="MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
    model_kinds=("encoder_decoder",),
    peft_task_type="SEQ_2_SEQ_LM",
    trainer="sft.training.trainer:train_model",
    answers={
        "label_scores": Answers(
            infer="sft.inference.encoder_decoder.answering:LABEL_SCORES", read="sft.evaluation.outputs:from_scores"
        ),
        "texts": Answers(
            infer="sft.inference.encoder_decoder.answering:TEXTS", read="sft.evaluation.outputs:from_texts"
        ),
    },
    key_fields={"answers": "seq2seq"},
    reads="source",
    own_loss="sft.training.objectives.source_loss:SourceLoss",
    loss="mean over trained tokens of their cross-entropy, in nats",
    clashes={
        **dict.fromkeys(
            ("packing", "eval_packing", "padding_free"), "joins rows, and an encoder reads each of them by itself"
        ),
        "label_smoothing_factor": "is no part of the loss of an encoder-decoder",
        "router_aux_loss_coef": "is no part of the loss of an encoder-decoder",
    },
    without_effect=frozenset(
        {
            "prompting.format",
            "inference.prompting.format",
            "model.chat_template_from",
            "model.chat_template_args",
        }
    ),
)
