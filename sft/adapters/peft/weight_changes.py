"""PEFT's methods that learn a change of weights, of few numbers: as they were measured."""

from sft.adapters.peft.method import PeftMethod
from sft.adapters.peft.row import BITSANDBYTES, EIGHT_BITS, READS, WITH_TORCHAO, Beginning, PeftRow, SizeRule

WITH_ZERO_B = ("pca", "umap")
NOTHING_OFF = "its B is not 0, and nothing is taken off the base for it"

PVERA = PeftMethod(
    PeftRow(
        "pvera",
        "PVeRA (arXiv:2512.07703): VeRA whose scales are drawn from a learned distribution in training",
        "peft.tuners.pvera.config:PveraConfig",
        refused={"sample_at_inference": "the same prompt would be answered otherwise each time"},
        storages=WITH_TORCHAO,
        learning_rate=4e-3,
    )
)
RANDLORA = PeftMethod(
    PeftRow(
        "randlora",
        "RandLoRA (arXiv:2502.00987): learned scales of many frozen random low-rank factors",
        "peft.tuners.randlora.config:RandLoraConfig",
        storages=WITH_TORCHAO,
    )
)
LOHA = PeftMethod(
    PeftRow(
        "loha",
        "LoHa (arXiv:2108.06098): the elementwise product of two low-rank changes",
        "peft.tuners.loha.config:LoHaConfig",
        rank="r",
        storages=EIGHT_BITS,
        elsewhere=READS,
        takes_conv1d=False,
    )
)
LOKR = PeftMethod(
    PeftRow(
        "lokr",
        "LoKr (arXiv:2309.14859): the Kronecker product of small factors",
        "peft.tuners.lokr.config:LoKrConfig",
        storages=EIGHT_BITS,
        elsewhere=READS,
        takes_conv1d=False,
    )
)
HIRA = PeftMethod(
    PeftRow(
        "hira",
        "HiRA (openreview TwJrTz9cRS): a low-rank factor that multiplies each weight",
        "peft.tuners.hira.config:HiraConfig",
        storages=BITSANDBYTES,
    )
)
GRALORA = PeftMethod(
    PeftRow(
        "gralora",
        "GraLoRA (arXiv:2505.20355): low-rank factors of each block of a weight",
        "peft.tuners.gralora.config:GraloraConfig",
        beginning=Beginning(WITH_ZERO_B, "sft.initialization.directions:fill_blocks", NOTHING_OFF, rank="r"),
        sizes=(SizeRule("gralora_k", divides=("outputs", "inputs"), divides_option="r"),),
        storages=WITH_TORCHAO,
        adds_in_place=True,
    )
)
MISS = PeftMethod(
    PeftRow(
        "miss",
        "MiSS (arXiv:2409.15371): one small matrix, repeated over the whole weight",
        "peft.tuners.miss.config:MissConfig",
        storages=WITH_TORCHAO,
        takes_conv1d=False,
        fitted={"r": "divisor"},
        sizes=(
            SizeRule("r", at_most="inputs"),
            SizeRule("r", divides=("outputs", "inputs"), where=("init_weights", "bat")),
            SizeRule("mini_r", divides=("outputs",), where=("init_weights", "mini")),
        ),
    )
)
VBLORA = PeftMethod(
    PeftRow(
        "vblora",
        "VB-LoRA (arXiv:2405.15179): low-rank factors mixed of a bank of vectors that all layers share",
        "peft.tuners.vblora.config:VBLoRAConfig",
        refused={"save_only_topk_weights": "what is saved could not be trained on"},
        fitted={"vector_length": "divisor"},
        sizes=(SizeRule("vector_length", divides=("outputs", "inputs")),),
        start="its vectors are drawn at random, near zero",
        storages=WITH_TORCHAO,
        learning_rate=1e-3,
    )
)
UNILORA = PeftMethod(
    PeftRow(
        "unilora",
        "Uni-LoRA (arXiv:2506.00799): one vector, projected at random into the low-rank factors of all layers",
        "peft.tuners.unilora.config:UniLoraConfig",
        start="its vector is drawn at random, near zero",
        elsewhere="no gradient reaches it there",
    )
)
TINYLORA = PeftMethod(
    PeftRow(
        "tinylora",
        "TinyLoRA (arXiv:2602.04118): a few numbers, projected at random into the weights' principal parts",
        "peft.tuners.tinylora.config:TinyLoraConfig",
        elsewhere=READS,
    )
)
DELORA = PeftMethod(
    PeftRow(
        "delora",
        "DeLoRA (arXiv:2503.18225): a low-rank change whose size and direction are learned apart",
        "peft.tuners.delora.config:DeloraConfig",
        rank="r",
        beginning=Beginning(WITH_ZERO_B, "sft.initialization.directions:fill_bounded", NOTHING_OFF),
        elsewhere=READS,
        takes_conv1d=False,
    )
)
GLORA = PeftMethod(
    PeftRow(
        "glora",
        "GLoRA (arXiv:2306.07967): learned scales and shifts of weights and biases",
        "peft.tuners.glora.config:GloraConfig",
        elsewhere=READS,
        takes_conv1d=False,
    )
)
PEANUT = PeftMethod(
    PeftRow(
        "peanut",
        "PEANuT (arXiv:2410.01870): a small network whose input is the weight itself",
        "peft.tuners.peanut.config:PeanutConfig",
        elsewhere=READS,
        takes_conv1d=False,
    )
)
DEFT = PeftMethod(
    PeftRow(
        "deft",
        "DEFT: a low-rank direction is taken out of the weight and learned anew",
        "peft.tuners.deft.config:DeftConfig",
        elsewhere=READS,
    )
)
OSF = PeftMethod(
    PeftRow(
        "osf",
        "OSF: the small singular parts of each weight are trained, the large ones kept",
        "peft.tuners.osf.config:OSFConfig",
        elsewhere=READS,
        takes_conv1d=False,
    )
)
FOURIERFT = PeftMethod(
    PeftRow(
        "fourierft",
        "FourierFT (arXiv:2405.03003): some coefficients of the Fourier transform of a weight's change",
        "peft.tuners.fourierft.config:FourierFTConfig",
        defaults={"init_weights": True},
        sizes=(SizeRule("n_frequency", at_most="weights", pattern="n_frequency_pattern"),),
        storages=WITH_TORCHAO,
        learning_rate=3e-3,
    )
)
WAVEFT = PeftMethod(
    PeftRow(
        "waveft",
        "WaveFT (arXiv:2505.12532): some coefficients of the wavelet transform of a weight's change",
        "peft.tuners.waveft.config:WaveFTConfig",
        sizes=(
            SizeRule(
                "n_frequency",
                at_most="weights",
                pattern="n_frequency_pattern",
                where=("proportional_parameters", False),
            ),
        ),
        storages=WITH_TORCHAO,
    )
)
C3A = PeftMethod(
    PeftRow(
        "c3a",
        "C3A (arXiv:2407.19342): a block-circular convolution as each weight's change",
        "peft.tuners.c3a.config:C3AConfig",
        defaults={"init_weights": True},
        fitted={"block_size": "divisor"},
        sizes=(SizeRule("block_size", divides=("outputs", "inputs"), pattern="block_size_pattern"),),
        storages=WITH_TORCHAO,
        adds_in_place=True,
        takes_conv1d=False,
    )
)
SHIRA = PeftMethod(
    PeftRow(
        "shira",
        "SHiRA (arXiv:2406.13175): some weights, chosen at random, are trained",
        "peft.tuners.shira.config:ShiraConfig",
        defaults={"random_seed": 0},
        sizes=(SizeRule("r", at_most="weights_by_sides"),),
        start="on int8 its layers no longer round their inputs to 8 bits",
        storages=WITH_TORCHAO,
        takes_conv1d=False,
    )
)
SUPERTUNING = PeftMethod(
    PeftRow(
        "supertuning",
        "Super-Tuning (arXiv:2607.09287): the largest weights of each layer are trained",
        "peft.tuners.supertuning.config:SupertuningConfig",
        elsewhere=READS,
        takes_conv1d=False,
    )
)
