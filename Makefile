# demo: register the pair in examples/.  test: the whole test suite.  Both need Python >= 3.11 with venv, nothing else.
PYTHON ?= python3
BIN = .venv/bin
.PHONY: demo test lint types man bench bench-paper bench-related bench-series bench-order bench-speed bench-batch bench-gpu bench-faults clean

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
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: .venv/tested
	$(BIN)/mypy

man: .venv/tested
	$(BIN)/python man/generate.py

# Accuracy beside other tools, the quality assessment, and docs/benchmarks.md: about six hours on two free cores. A stopped
# run continues; `python -m benchmarks.accuracy.run --estimate` says what is missing. It reads the shared scans.
bench: .venv/tested
	$(BIN)/python -m benchmarks.accuracy.run
	$(BIN)/python -m benchmarks.verdict.run --split dev --refine --score-only --partners 3
	$(BIN)/python -m benchmarks.verdict.run --split validation --refine --score-only --partners 3
	$(BIN)/python benchmarks/refresh.py docs/benchmarks.md

# The paper's tables, its order of transformations, and docs/paper.md: one to two hours on two cores. A stopped run
# continues. They read the shared scans.
bench-paper: .venv/tested
	$(BIN)/python -m benchmarks.paper.run measure
	$(BIN)/python -m benchmarks.paper.sloan measure
	$(BIN)/python -m benchmarks.paper.airnet measure
	$(BIN)/python -m benchmarks.paper.picture
	$(BIN)/python benchmarks/refresh.py docs/paper.md --only benchmarks.paper.run
	$(BIN)/python benchmarks/refresh.py docs/paper.md --only benchmarks.paper.sloan
	$(BIN)/python benchmarks/refresh.py docs/paper.md --only benchmarks.paper.airnet

# Related methods that deform, beside register --deform, and their table in docs/paper.md: a quarter of an hour. A stopped run
# continues. They read the shared scans.
bench-related: .venv/tested
	$(BIN)/python -m benchmarks.paper.related measure
	$(BIN)/python benchmarks/refresh.py docs/paper.md --only benchmarks.paper.related

# Visits of one person: their simulation (10 minutes), and series beside other tools (two hours of processor).
bench-series: .venv/tested
	$(BIN)/python -m benchmarks.series.visits -o runs/visits
	$(BIN)/python -m benchmarks.series.run --visits runs/visits
	$(BIN)/python -m benchmarks.series.smoothness --visits runs/visits
	$(BIN)/python -m benchmarks.series.visits -o runs/visits --people anatomy03-0,anatomy05-0,anatomy09-0
	$(BIN)/python -m benchmarks.series.told_error --visits runs/visits
	$(BIN)/python benchmarks/refresh.py docs/benchmarks.md --only benchmarks.series

bench-order: .venv/tested
	$(BIN)/python -m benchmarks.paper.transform_order --seeds 3
	$(BIN)/python benchmarks/refresh.py docs/paper.md --only benchmarks.paper.transform_order

# Time of whole processes beside the baseline cost and other tools: ten minutes, on an otherwise idle machine.
bench-speed: .venv/tested
	$(BIN)/python benchmarks/refresh.py docs/speed.md --only benchmarks.speed.run
	$(BIN)/python benchmarks/refresh.py docs/speed.md --only benchmarks.speed.growth

# A batch of 200 pairs, also interrupted and resumed, and the page of 500 pairs: ten minutes on an idle machine.
bench-batch: .venv/tested
	$(BIN)/python benchmarks/refresh.py docs/speed.md --only benchmarks.speed.batch
	$(BIN)/python benchmarks/refresh.py docs/speed.md --only benchmarks.speed.page

# What a CUDA device gains and whether it equals the CPU, and its tables in docs/speed.md; needs one. PACK is what `stnreg train
# --model velocity --cache PACK` made, for the step of training; without it that row is left out.
bench-gpu: .venv/tested
	$(BIN)/python -m benchmarks.speed.gpu $(if $(PACK),--pack $(PACK))

# Unusual files, 10,000 damaged files, 50 runs that are stopped early, and docs/files.md: half an hour.
bench-faults: .venv/tested
	$(BIN)/python benchmarks/refresh.py docs/files.md

clean:
	rm -rf .venv demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
