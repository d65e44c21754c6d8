# `make demo` and `make test` do all the set-up themselves, in .venv: they need only Python 3.11 or
# newer, pip and make. Another interpreter: `make demo PYTHON=python3.13`.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test slow test-lowest lint doctest examples benchmark docs clean

# On one thread: its data are so small that a second one mostly waits for the first.
demo: .venv/demo
	OMP_NUM_THREADS=1 $(BIN)/python -m skrec

# A process for each core, on one thread: threads of several processes wait for each other. Each
# gets neighbouring tests, which share fits and imports, until it takes over some of another's.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

test: .venv/test
	$(PYTEST) -m "not slow"

slow: .venv/test
	$(PYTEST) -m slow

# The lowest versions that pyproject.toml allows. torch alone is that of constraints.txt, the oldest
# that is run here: older ones come with several GB of CUDA. What is selected touches every library.
LOWEST_TESTS := tests/utils tests/base tests/solvers tests/metrics tests/model_selection \
	tests/inspection tests/datasets/test_simulated.py tests/datasets/test_movielens.py \
	tests/datasets/test_read_interactions.py \
	tests/linear tests/neighbors tests/neural tests/test_interactions.py tests/test_reviews.py \
	tests/cli tests/test_docstrings.py

test-lowest: .venv-lowest/test
	OMP_NUM_THREADS=1 .venv-lowest/bin/python -m pytest -n auto --dist worksteal -m "not slow" $(LOWEST_TESTS)

lint: .venv/lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

doctest: .venv/test .venv/docs
	$(BIN)/python -m pytest --doctest-modules skrec
	$(BIN)/python -m pytest --doctest-glob='*.rst' docs/*.rst
	$(BIN)/python -m pytest --doctest-glob='*.md' README.md

examples: .venv/docs
	cd examples && for example in *.py; do \
		echo "$$example" && MPLBACKEND=agg ../$(BIN)/python -W error "$$example" || exit 1; done

benchmark: .venv/test
	$(BIN)/python benchmarks/ease.py --data toy
	$(BIN)/python benchmarks/autoencoders.py --data toy --repeats 1 --epochs 1
	$(BIN)/python benchmarks/products.py --repeats 2
	$(BIN)/python benchmarks/ratings.py --data toy --repeats 1
	$(BIN)/python benchmarks/ratings_table.py --data toy --model BiasBaseline --model SlopeOne
	$(BIN)/python benchmarks/reviews.py --data toy
	$(BIN)/python benchmarks/checks.py --data toy --repeats 2 --processes 1
	$(BIN)/python benchmarks/models.py --data toy --max-iter 2 --processes 1
	$(BIN)/python benchmarks/item_item_peers.py --data toy --repeats 1
	$(BIN)/python benchmarks/ials.py --data toy --components 8 --sweeps 2 --repeats 1
	$(BIN)/python benchmarks/hpf.py --sweeps 5 --repeats 1
	$(BIN)/python benchmarks/sparse_inverse.py --data toy --size 10
	$(BIN)/python benchmarks/neural_peers.py --data toy --model MultDAE --epochs 1
	$(BIN)/python benchmarks/results_board.py --data toy
	$(BIN)/python benchmarks/ensembles.py --data toy
	$(BIN)/python benchmarks/catalogue.py --data toy --model SANSA --model ELSA

docs: .venv/docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

clean:
	rm -rf .venv .venv-lowest docs/_build docs/auto_examples docs/generated

.venv/bin/python .venv-lowest/bin/python: %/bin/python:
	@$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'skrec needs Python 3.11 or newer, this is ' + sys.version.split()[0] + ': make PYTHON=/path/to/python3')"
	$(PYTHON) -m venv $*

.venv/demo: .venv/bin/python pyproject.toml constraints.txt
	$(INSTALL) -e .
	@touch $@

.venv/test .venv/lint .venv/docs: .venv/%: .venv/bin/python pyproject.toml constraints.txt
	$(INSTALL) -e ".[$*]"
	@touch $@

.venv-lowest/constraints.txt: .venv-lowest/bin/python pyproject.toml constraints.txt
	grep '^torch==' constraints.txt >$@
	grep -oE '"[A-Za-z-]+>=[0-9.]+' pyproject.toml | grep -v '^"torch>' | tr -d '"' | sed 's/>=/==/' | sort -u >>$@

.venv-lowest/test: .venv-lowest/constraints.txt
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check -c $< -e ".[test]"
	@touch $@
