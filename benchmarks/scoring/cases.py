"""What is scored: tweets of the demo after a fixed prompt, and label sets with a sentiment in each label."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.commands import DEMO
from sft.models.tokenizers import load_tokenizer
from sft.prompts import Example, PromptBuilder, PromptStyle

MODEL = DEMO / "SmolLM2-135M-Instruct"
SENTIMENTS = ("negative", "neutral", "positive")
TONES = {"unhappy about": "negative", "indifferent to": "neutral", "delighted with": "positive"}
"""How an invented label begins, and which sentiment of a tweet it goes with."""
INSTRUCTION = "Classify the sentiment of the tweet. Answer with one word: negative, neutral, positive."
PHRASE_INSTRUCTION = "Say how the writer of the tweet feels, and about what."


@dataclass(frozen=True)
class Case:
    """A label set on some tweets.

    Attributes:
        name: as it stands in the report.
        labels: the label words.
        tweets: the first of the demo's test split.
        examples: in-context examples, the same before every tweet.
        peer_tweets: how many of the tweets lm-eval gets; None is all.
        target: how many times as fast as lm-eval we want to be; None where nothing was set.
        rounds: how often each side runs; ours once more, at the end.
    """

    name: str
    labels: tuple[str, ...]
    tweets: int
    examples: int = 0
    peer_tweets: int | None = None
    target: float | None = None
    rounds: int = 1


@dataclass(frozen=True)
class Prompts:
    """A case in texts and in token ids.

    Attributes:
        texts: rendered prompts, one for each tweet.
        ids: their token ids.
        gold: the sentiment of each tweet.
        labels: the label words.
        label_ids: ids of each label and of the stop after it.
    """

    texts: tuple[str, ...]
    ids: tuple[tuple[int, ...], ...]
    gold: tuple[str, ...]
    labels: tuple[str, ...]
    label_ids: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]

    def first(self, count: int) -> "Prompts":
        """The first tweets alone."""
        return replace(self, texts=self.texts[:count], ids=self.ids[:count], gold=self.gold[:count])

    def first_labels(self, count: int) -> "Prompts":
        """The first labels alone."""
        return replace(self, labels=self.labels[:count], label_ids=self.label_ids[:count])

    @property
    def label_tokens(self) -> int:
        """Tokens of all labels together, without stops."""
        return sum(len(answer) for answer, _ in self.label_ids)

    @property
    def sequence_tokens(self) -> int:
        """Tokens of all sequences of a prompt and a label."""
        return sum(map(len, self.ids)) * len(self.labels) + len(self.ids) * self.label_tokens

    def accuracy(self, scores: Sequence[Sequence[float]]) -> float:
        """The share of these tweets whose best label has their sentiment."""
        best = [self.labels[max(range(len(row)), key=row.__getitem__)] for row in scores]
        return sum(sentiment_of(label) == gold for label, gold in zip(best, self.gold, strict=True)) / len(self.gold)


def phrases(topics: Sequence[str]) -> tuple[str, ...]:
    """A label for each topic and tone."""
    return tuple(f"{tone} {topic}" for topic in topics for tone in TONES)


def sentiment_of(label: str) -> str:
    """The sentiment that a label stands for."""
    return next((sentiment for tone, sentiment in TONES.items() if label.startswith(tone)), label)


def prompts_of(case: Case) -> Prompts:
    """The case as the demo model's chat template renders it."""
    is_phrase = case.labels[0] not in SENTIMENTS
    style = PromptStyle(input_columns=("text",), instruction=PHRASE_INSTRUCTION if is_phrase else INSTRUCTION)
    builder = PromptBuilder(load_tokenizer(str(MODEL), DEMO), style)
    shown = [[example] for example in _examples(case)]
    rows = _tweets("test")[: case.tweets]
    encoded = [builder.encode(shown, Example({"text": row["text"]}), None) for row in rows]
    labels = builder.label_ids(case.labels)
    builder.check_labels(encoded, labels)
    return Prompts(
        texts=tuple(prompt.text for prompt in encoded),
        ids=tuple(prompt.prompt_ids for prompt in encoded),
        gold=tuple(row["label"] for row in rows),
        labels=case.labels,
        label_ids=tuple((label.answer_ids, label.stop_ids) for label in labels),
    )


def _examples(case: Case) -> list[Example]:
    """As many tweets of each sentiment, in turn, each answered with another label of its sentiment."""
    rows = _tweets("train")
    of_sentiment = {name: iter([row for row in rows if row["label"] == name]) for name in SENTIMENTS}
    fitting = {name: [label for label in case.labels if sentiment_of(label) == name] for name in SENTIMENTS}
    examples = []
    for number in range(case.examples):
        turn, place = divmod(number, len(SENTIMENTS))
        name = SENTIMENTS[place]
        answer = fitting[name][turn % len(fitting[name])]
        examples.append(Example({"text": next(of_sentiment[name])["text"]}, answer))
    return examples


def _tweets(split: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (DEMO / "tweets" / f"{split}.jsonl").read_text("utf-8").splitlines()]
