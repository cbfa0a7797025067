"""Random two-layer models of several architectures."""

from typing import Any

VOCABULARY = 97
NAMES = {
    "llama": "Llama",
    "qwen2": "Qwen2",
    "qwen3": "Qwen3",
    "mistral": "Mistral",
    "gemma2": "Gemma2",
    "gemma3": "Gemma3",
    "phi3": "Phi3",
    "gpt2": "GPT2",
    "gptneox": "GPTNeoX",
    "bloom": "Bloom",
    "mamba": "Mamba",
}
CONFIGS = {"gemma3": "Gemma3TextConfig"}


def build_tiny_model(architecture: str, attention: str = "sdpa", lora: bool = False, **config: Any) -> Any:
    """Random two-layer model; weights so large that a wrong position or mask shows."""
    import torch
    import transformers

    torch.manual_seed(7)
    config_class = CONFIGS.get(architecture, f"{NAMES[architecture]}Config")
    class_name = "GPT2LMHeadModel" if architecture == "gpt2" else f"{NAMES[architecture]}ForCausalLM"
    written = {"vocab_size": VOCABULARY, "initializer_range": 0.5, **_shape(architecture), **config}
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    model = getattr(transformers, class_name)._from_config(
        getattr(transformers, config_class)(**written, **ends), attn_implementation=attention
    )
    return _with_lora(model.eval()) if lora else model.eval()


def _shape(architecture: str) -> dict[str, Any]:
    if architecture == "gpt2":
        return {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
    shape = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
    }
    if architecture != "phi3":
        shape["head_dim"] = 8
    if architecture in ("mistral", "phi3", "gemma2", "gemma3"):
        shape["sliding_window"] = 8
    if architecture in ("gemma2", "gemma3"):
        shape["layer_types"] = ["sliding_attention", "full_attention"]
    if architecture in ("qwen2", "qwen3"):
        shape |= {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}
    return shape


def _with_lora(model: Any) -> Any:
    import torch
    from peft import LoraConfig, get_peft_model

    targets = ["c_attn"] if model.config.model_type == "gpt2" else "all-linear"
    wrapped = get_peft_model(model, LoraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.3)
    return wrapped.eval()
