"""The initialisers: pure functions from one layer to its first adapter factors.

To add one: a file with `f(layer, rank, dtype=torch.bfloat16) -> {"lora_A": (rank, in), "lora_B": (out, rank)}`, the
factors for scaling 1, and its line here. A variant is another name.
"""

from sft.registry import Registry

initializer_registry: Registry = {
    "pca": "sft.initialization.initializers.pca:pca",
    "pissa": "sft.initialization.initializers.pissa:pissa",
    "pissa_simplified": "sft.initialization.initializers.pissa_simplified:pissa_simplified",
    "umap": "sft.initialization.initializers.umap:umap",
}
