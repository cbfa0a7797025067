"""The methods of PEFT that train a language model, as they were measured: one row each."""

from sft.adapters.peft.method import PeftMethod
from sft.adapters.peft.row import PeftRow

BITSANDBYTES = ("plain", "nf4", "fp4", "int8")
WITH_TORCHAO = (*BITSANDBYTES, "torchao")
WITH_PACKED = (*WITH_TORCHAO, "gptq", "awq")
IN_FRONT = "what it learned stands in front of the prompt and is no part of the base's weights"

IA3 = PeftMethod(
    PeftRow(
        "ia3",
        "IA3 (arXiv:2205.05638): learned scales of keys, values and the feed-forward part",
        "peft.tuners.ia3.config:IA3Config",
        "keys_and_values",
        storages=WITH_TORCHAO,
        learning_rate=3e-3,
    )
)
VERA = PeftMethod(
    PeftRow(
        "vera",
        "VeRA (arXiv:2310.11454): learned scales of frozen random low-rank factors that all layers share",
        "peft.tuners.vera.config:VeraConfig",
        storages=WITH_TORCHAO,
        learning_rate=4e-3,
    )
)
OFT = PeftMethod(
    PeftRow(
        "oft",
        "OFT (arXiv:2306.07280): a block-diagonal rotation of each layer's inputs",
        "peft.tuners.oft.config:OFTConfig",
        storages=WITH_TORCHAO,
    )
)
LN_TUNING = PeftMethod(
    PeftRow(
        "ln_tuning",
        "LN tuning (arXiv:2312.11420): the scales and shifts of the norms",
        "peft.tuners.ln_tuning.config:LNTuningConfig",
        "norms",
        storages=WITH_PACKED,
        learning_rate=1e-3,
    )
)
PROMPT_TUNING = PeftMethod(
    PeftRow(
        "prompt_tuning",
        "Prompt tuning (arXiv:2104.08691): embeddings of virtual tokens in front of the prompt",
        "peft.tuners.prompt_tuning.config:PromptTuningConfig",
        "none",
        defaults={"num_virtual_tokens": 20},
        start="the virtual tokens stand in front of every prompt from the first step on",
        storages=WITH_PACKED,
        unmergeable=IN_FRONT,
        learning_rate=3e-2,
    )
)
