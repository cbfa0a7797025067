"""The examples of etc/configs, and what each of them needs beside the repository."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "etc" / "configs"
HUB = {"json/tweets_qwen.json", "jsonnet/tweets_qwen.jsonnet", "jsonnet/tweets_hub_dataset.jsonnet"}
"""Those with models or data of the model hub."""
_DEMO = ROOT / "data" / "demo"
_TWEETS = _DEMO / "tweets" / "test.jsonl"
_ENCODER = _DEMO / "all-MiniLM-L6-v2" / "config.json"
_T5 = _DEMO / "small-t5" / "config.json"
_TOPICS = _DEMO / "topics" / "test.jsonl"
_FILES = {
    "json/tweets_head.json": _ENCODER,
    "jsonnet/encoder_decoder.jsonnet": _T5,
    "jsonnet/heads_and_prompts.jsonnet": _ENCODER,
    "jsonnet/names.jsonnet": _T5,
    "jsonnet/synopses.jsonnet": _T5,
    "jsonnet/topics.jsonnet": _TOPICS,
    "jsonnet/whole_texts.jsonnet": _TOPICS,
}
"""Those with models or data of `make demo-models` and `make demo-data-tasks` -> a file that they leave."""
OF_TASK_DATA = {
    "jsonnet/encoder_decoder.jsonnet",
    "jsonnet/names.jsonnet",
    "jsonnet/synopses.jsonnet",
    "jsonnet/topics.jsonnet",
    "jsonnet/whole_texts.jsonnet",
}
"""Those with rows of `make demo-data-tasks`."""


def missing(name: str) -> str | None:
    """What to run before an example can be; None where all is there.

    Args:
        name: of the example, relative to its folder.
    """
    if not _TWEETS.is_file():
        return "needs make demo-data"
    file = _FILES.get(name)
    return None if file is None or file.is_file() else "needs make demo-models and make demo-data-tasks"
