"""PEFT's methods that scale, shift or rotate what layers compute, and those of tokens: as they were measured."""

from collections.abc import Mapping
from types import MappingProxyType

from sft.adapters.peft.method import PeftMethod
from sft.adapters.peft.row import IN_FRONT, READS, TOKENS, WITH_PACKED, WITH_TORCHAO, Fit, PeftRow, SizeRule

VIRTUAL = "its virtual tokens stand in front of every prompt from the first step on"


def _in_front(
    name: str,
    summary: str,
    config: str,
    learning_rate: float,
    fitted: Mapping[str, Fit] = MappingProxyType({}),
    refused: Mapping[str, str] = MappingProxyType({}),
) -> PeftMethod:
    """A method whose virtual tokens stand in front of the prompt; 20 of them where the user says no number."""
    return PeftMethod(
        PeftRow(
            name,
            summary,
            config,
            targets="none",
            defaults={"num_virtual_tokens": 20},
            fitted=fitted,
            refused=refused,
            start=VIRTUAL,
            storages=WITH_PACKED,
            unmergeable=IN_FRONT,
            learning_rate=learning_rate,
        )
    )


IA3 = PeftMethod(
    PeftRow(
        "ia3",
        "IA3 (arXiv:2205.05638): learned scales of keys, values and the feed-forward part",
        "peft.tuners.ia3.config:IA3Config",
        targets="keys_and_values",
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
        either=("r", "oft_block_size"),
        sizes=(
            SizeRule("r", divides=("inputs",), is_adjusted=True),
            SizeRule("oft_block_size", divides=("inputs",), is_adjusted=True),
        ),
        storages=WITH_TORCHAO,
        takes_conv1d=False,
    )
)
LN_TUNING = PeftMethod(
    PeftRow(
        "ln_tuning",
        "LN tuning (arXiv:2312.11420): the scales and shifts of the norms",
        "peft.tuners.ln_tuning.config:LNTuningConfig",
        targets="norms",
        storages=WITH_PACKED,
        learning_rate=1e-3,
    )
)
PROMPT_TUNING = _in_front(
    "prompt_tuning",
    "Prompt tuning (arXiv:2104.08691): embeddings of virtual tokens in front of the prompt",
    "peft.tuners.prompt_tuning.config:PromptTuningConfig",
    3e-2,
    fitted={"tokenizer_name_or_path": "tokenizer"},
    refused={"tokenizer_name_or_path": "it is the model's own tokenizer"},
)
P_TUNING = _in_front(
    "p_tuning",
    "P-tuning (arXiv:2103.10385): embeddings of virtual tokens, given by a small network",
    "peft.tuners.p_tuning.config:PromptEncoderConfig",
    1e-3,
)
PREFIX_TUNING = _in_front(
    "prefix_tuning",
    "Prefix tuning (arXiv:2101.00190): keys and values of virtual tokens in every block",
    "peft.tuners.prefix_tuning.config:PrefixTuningConfig",
    1e-2,
)
CARTRIDGE = _in_front(
    "cartridge",
    "Cartridge (arXiv:2506.06266): a cache of keys and values, trained as it is",
    "peft.tuners.cartridge.config:CartridgeConfig",
    1e-2,
)
ADAPTION_PROMPT = PeftMethod(
    PeftRow(
        "adaption_prompt",
        "LLaMA-Adapter (arXiv:2303.16199): prompts within the attention of the upper blocks, gated from zero",
        "peft.tuners.adaption_prompt.config:AdaptionPromptConfig",
        targets="none",
        defaults={"adapter_len": 10},
        fitted={"adapter_layers": "blocks"},
        model_types=("gpt2", "llama", "mistral"),
        storages=WITH_TORCHAO,
        unmergeable="its prompts are no part of the base's weights",
        learning_rate=9e-3,
    )
)
TRAINABLE_TOKENS = PeftMethod(
    PeftRow(
        "trainable_tokens",
        "Trainable tokens: the embeddings of the tokens that are named",
        "peft.tuners.trainable_tokens.config:TrainableTokensConfig",
        targets="embedding",
        needed=(TOKENS,),
        storages=WITH_PACKED,
        learning_rate=1e-3,
    )
)
BOFT = PeftMethod(
    PeftRow(
        "boft",
        "BOFT (arXiv:2311.06243): butterfly products of rotations of each layer's inputs",
        "peft.tuners.boft.config:BOFTConfig",
        either=("boft_block_size", "boft_block_num"),
        sizes=(SizeRule("boft_block_size", divides=("inputs",)), SizeRule("boft_block_num", divides=("inputs",))),
        refused={"boft_n_butterfly_factor": "more than 1 needs a CUDA extension that PEFT compiles"},
        storages=WITH_TORCHAO,
        takes_conv1d=False,
    )
)
HRA = PeftMethod(
    PeftRow(
        "hra",
        "HRA (arXiv:2405.17484): a chain of reflections of each layer's inputs",
        "peft.tuners.hra.config:HRAConfig",
        elsewhere=READS,
        takes_conv1d=False,
    )
)
ROAD = PeftMethod(
    PeftRow(
        "road",
        "RoAd (arXiv:2409.00119): rotations and scales of pairs of each layer's outputs",
        "peft.tuners.road.config:RoadConfig",
        fitted={"group_size": "even_divisor"},
        sizes=(SizeRule("group_size", divides=("outputs",), is_even=True),),
        storages=WITH_TORCHAO,
        takes_conv1d=False,
    )
)
BEFT = PeftMethod(
    PeftRow(
        "beft",
        "BEFT (arXiv:2509.15974): a shift of the values",
        "peft.tuners.beft.config:BeftConfig",
        unmergeable="the shift needs a bias in the layers of values, which most models lack",
        targets="values",
        storages=WITH_TORCHAO,
        takes_conv1d=False,
    )
)
