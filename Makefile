# make demo: the whole way on a real model; make check test test-slow: what a change must pass.
PYTHON ?= python3.11
BIN := .venv/bin
SITE := import site; print(site.getsitepackages()[0])
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo demo-data demo-models demo-data-tasks install dev check test test-slow cases peers storages bench-engine bench-scoring bench-init bench-training bench-scale clean

demo: install demo-data
	$(BIN)/python -m sft.cli run-experiments etc/configs/jsonnet/quickstart.jsonnet --results-path results/demo --jobs 2
	@echo "Open in a browser: results/demo/leaderboard.html (the same as .md, .csv and .json beside it)"

demo-data: install
	$(BIN)/python etc/demo/prepare.py

# An encoder and an encoder-decoder for the other ways to answer; the second is trained here, a minute or two.
demo-models: install
	$(BIN)/python etc/demo/models.py

# Data of the other task types: texts of several topics, translations, descriptions with synopses.
demo-data-tasks: install
	$(BIN)/python etc/demo/data_tasks.py

install: .venv/.installed

dev: .venv/.dev-installed

check: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest tests/contract/test_structure.py tests/contract/test_fragments.py

test: dev demo-data
	$(BIN)/pytest tests -n 2 --dist loadfile -m "not slow and not gpu"

test-slow: dev demo-data demo-models peers storages
	$(BIN)/pytest tests -n 2 --dist loadfile --no-loadscope-reorder -m "slow and not gpu"

# Trouble that people meet, one folder each, as commands of a user; each prints PASS, or FAIL and why.
cases: dev demo-data
	$(BIN)/pytest tests/integration/test_cases.py -s

# The engine's speed beside fresh processes and beside the libraries' own commands; about half an hour on 2 cores.
bench-engine: install demo-data peers
	$(BIN)/python -m benchmarks.engine

# Label scoring beside lm-evaluation-harness, generation beside plain `generate`; about twenty minutes on one core.
bench-scoring: install demo-data peers
	$(BIN)/python -m benchmarks.scoring

# The initialisers beside a full decomposition, on all linear layers of the demo model; some minutes on one core.
bench-init: install demo-data
	$(BIN)/python -m benchmarks.initialization

# Training steps beside TRL's own trainer and a bare loop, and what a small training costs beside them; ten minutes.
bench-training: install demo-data peers
	$(BIN)/python -m benchmarks.training

# The runner with 22,000 stages on a cluster that is played, in minutes.
bench-scale: install
	$(BIN)/python -m benchmarks.scale

peers: .venv-peers/.installed

# Packages that store weights in other ways, beside those of .venv, which stays as users have it.
storages: .venv-storages/.installed

clean:
	rm -rf .venv .venv-peers .venv-storages build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.installed: requirements.txt pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet -r requirements.txt
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $@

.venv/.dev-installed: dev_requirements.txt .venv/.installed
	$(BIN)/pip install --quiet -r dev_requirements.txt
	touch $@

.venv-peers/.installed: benchmarks/peers.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet -r benchmarks/peers.txt
	touch $@

# What these packages ask of torch is left out: they run with the pinned one, which is read from .venv.
.venv-storages/.installed: storages_requirements.txt .venv/.installed
	rm -rf .venv-storages
	$(PYTHON) -m venv --without-pip .venv-storages
	BUILD_CUDA_EXT=0 $(BIN)/pip --python .venv-storages/bin/python install --quiet --no-deps -r storages_requirements.txt
	echo "import site; site.addsitedir('$$($(BIN)/python -c '$(SITE)')')" \
		> "$$(.venv-storages/bin/python -c '$(SITE)')/beneath.pth"
	touch $@
