"""The objective of T-Few (Liu et al. 2022, arXiv:2205.05638), for classification.

Of a row with prompt x, right answer y of T tokens, and wrong answers y_n of T_n tokens:

    L    = L_LM + L_UL + L_LN
    L_LM = -(1/T) sum_t log p(y_t | x, y_<t)                                             equation 1
    L_UL = -(sum_n sum_t log(1 - p(y_n,t | x, y_n,<t))) / (sum_n T_n)                    equation 2
    beta(x, y) = (1/T) sum_t log p(y_t | x, y_<t)                                        equation 3
    L_LN = -log(exp(beta(x, y)) / (exp(beta(x, y)) + sum_n exp(beta(x, y_n))))           equation 4

An answer is a label's ids with all ids of its stop, as it is trained and scored everywhere else: T counts them, each
of them has its term, and beta is their mean. Labels are the whole label set, in every row. The loss of a step is the
mean of L over its rows, however they are shared out among micro-batches; a row's weight multiplies its L. The
computation is in `answer_loss.py`.
"""

from sft.training.objectives.objective import TrainingObjective

_JOINED = "joins rows, and each has labels of its own behind it"
_OTHER_LOSS = "takes another loss"

OBJECTIVE = TrainingObjective(
    name="t_few",
    loss="mean over rows of L_LM + L_UL + L_LN of T-Few, in nats",
    own_loss="sft.training.objectives.answer_loss:AnswerLoss",
    trainer_args={"router_aux_loss_coef": 0.0},
    needs_labels=True,
    clashes={
        "packing": _JOINED,
        "eval_packing": _JOINED,
        "padding_free": _JOINED,
        "label_smoothing_factor": _OTHER_LOSS,
        "router_aux_loss_coef": "adds the balance of experts, which would count every label's tokens",
    },
)
