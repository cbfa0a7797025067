"""Imports what commands and their stages import; for the process that the tests fork new ones from, and no other."""

import gc

import sft.cli
import sft.reporting.refresh
import sft.worker.__main__  # noqa: F401
from sft.experiments.executors.warm import Preload
from sft.worker.server import load_beforehand

load_beforehand(Preload(("train", "infer", "baseline", "evaluate"), ("llama",)))
gc.collect()
gc.freeze()  # the collections of its children need not look through it
