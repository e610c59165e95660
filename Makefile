# demo: register the pair in examples/.  test: the whole suite.  Both need Python >= 3.11 with venv, nothing else.
PYTHON ?= python3
BIN = .venv/bin
.PHONY: demo test lint types man bench bench-paper bench-order bench-speed bench-batch bench-faults clean

$(BIN)/stnreg: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q $(PIP_ARGS) -e .

.venv/tested: pyproject.toml | $(BIN)/stnreg
	$(BIN)/python -m pip install -q $(PIP_ARGS) -e '.[test,lint]'
	touch $@

demo: $(BIN)/stnreg
	mkdir -p demo
	$(BIN)/stnreg register examples/fixed.nii.gz examples/moving.nii.gz -o demo/moved.nii.gz --qc demo/before-after.png
	@echo "The moved image is demo/moved.nii.gz; the picture of before and after is $(CURDIR)/demo/before-after.png"

test: .venv/tested
	$(BIN)/python -m pytest

lint: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: .venv/tested
	$(BIN)/mypy

man: .venv/tested
	$(BIN)/python man/generate.py

# Peers side by side, the verdict, and docs/benchmarks.md from them: about six hours on two free cores. Stopped, it goes on
# where it was; `python -m benchmarks.accuracy.run --estimate` says what is missing. It reads the shared scans.
bench: .venv/tested
	$(BIN)/python -m benchmarks.accuracy.run
	$(BIN)/python -m benchmarks.verdict.run --split dev --refine --score-only --partners 3
	$(BIN)/python -m benchmarks.verdict.run --split validation --refine --score-only --partners 3
	$(BIN)/python benchmarks/refresh.py docs/benchmarks.md

# The paper's tables, its order of transformations, and docs/paper.md from them: an hour or two on two cores. Stopped,
# they go on where they were. They read the shared scans.
bench-paper: .venv/tested
	$(BIN)/python -m benchmarks.paper.run measure
	$(BIN)/python -m benchmarks.paper.picture
	$(BIN)/python benchmarks/refresh.py docs/paper.md --only benchmarks.paper.run

bench-order: .venv/tested
	$(BIN)/python -m benchmarks.paper.transform_order
	$(BIN)/python benchmarks/refresh.py docs/paper.md --only benchmarks.paper.transform_order

# Whole processes against a fixed floor and the peers: ten minutes, which are only worth it on a quiet machine.
bench-speed: .venv/tested
	$(BIN)/python benchmarks/refresh.py docs/speed.md --only benchmarks.speed.run
	$(BIN)/python benchmarks/refresh.py docs/speed.md --only benchmarks.speed.growth

# A batch of 200 pairs, left alone and disturbed, and the page of a study of 500: ten minutes on a quiet machine.
bench-batch: .venv/tested
	$(BIN)/python benchmarks/refresh.py docs/speed.md --only benchmarks.speed.batch
	$(BIN)/python benchmarks/refresh.py docs/speed.md --only benchmarks.speed.page

# Traps of real files, 10,000 damaged ones, 50 runs that are ended early, and docs/files.md from them: half an hour.
bench-faults: .venv/tested
	$(BIN)/python benchmarks/refresh.py docs/files.md

clean:
	rm -rf .venv demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
