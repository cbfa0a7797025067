"""The other side, run by the interpreter of .venv-peers: `lm_eval_side.py MODEL_FOLDER`.

Each line on standard input is the path of a request, a JSON object `{texts, ids, labels, label_ids, batch_size}`; the
answer, `{seconds, scores}`, is written beside it as `.answer`, then its path to standard output.

What is timed is `_loglikelihood_tokens`: what `loglikelihood` calls once its texts are tokens. `loglikelihood` itself
also moves the white space at the end of a prompt into the continuation, so that each of its scores would hold the
line break of the chat template too. That its own tokenisation of the texts gives the same tokens is checked before.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM


def main(model: str) -> None:
    """Answer requests until there are no more."""
    # Whatever the libraries print goes to the log.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.set_num_threads(1)
    side = HFLM(pretrained=model, device="cpu", dtype="float32", batch_size=1, add_bos_token=False)
    for line in sys.stdin:
        path = Path(line.strip())
        answer = path.with_suffix(".answer")
        answer.write_text(json.dumps(answered(side, json.loads(path.read_text("utf-8")))), "utf-8")
        print(answer, file=answers, flush=True)


def answered(side: HFLM, request: dict[str, Any]) -> dict[str, Any]:
    """Seconds, and the scores of all labels of each prompt."""
    labels = list(zip(request["labels"], request["label_ids"], strict=True))
    pairs = [
        ((text, label), ids, label_ids)
        for text, ids in zip(request["texts"], request["ids"], strict=True)
        for label, label_ids in labels
    ]
    check_tokens(side, pairs)
    side.batch_size_per_gpu = request["batch_size"]
    started = time.perf_counter()
    found = side._loglikelihood_tokens(pairs, disable_tqdm=True)
    seconds = time.perf_counter() - started
    scores = [score for score, _ in found]
    return {
        "seconds": seconds,
        "scores": [scores[start : start + len(labels)] for start in range(0, len(scores), len(labels))],
    }


def check_tokens(side: HFLM, pairs: list[tuple[tuple[str, str], list[int], list[int]]]) -> None:
    """Make sure that lm-eval reads the texts as these tokens; every label after the first prompt and the reverse."""
    first_prompt, first_label = pairs[0][0]
    for (prompt, label), ids, label_ids in pairs:
        if prompt == first_prompt or label == first_label:
            before, after = side._encode_pair(prompt, label)
            if before + after != ids + label_ids:
                raise ValueError(f"lm-eval reads {label!r} after ...{prompt[-60:]!r} as other tokens")


if __name__ == "__main__":
    main(sys.argv[1])
