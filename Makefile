# Every target but setup makes the environments first (a second when there is nothing to do).
PYTHON ?= python3
# What must hold whether handlers' processes are forks or new interpreters.
BOTH_WAYS := test_functions or test_durable or test_hostile
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)

.PHONY: lab test test-all check setup labs solutions locks lint benchmark

lab: setup        ## start the sandbox and open JupyterLab
	@$(BIN)/workshop lab

test: setup       ## run the tests (ONLY=tests/test_labs.py, or a word: only those)
	@$(BIN)/workshop test $(if $(ONLY),--only "$(ONLY)")

test-all: test    ## and then what takes too long for every day, and functions without forks
	@$(BIN)/workshop test --long
	@WORKSHOP_WARM_PROCESSES=0 $(BIN)/workshop test --only "$(BOTH_WAYS)"

check: setup      ## check your own lab: make check LAB=01
	@$(BIN)/workshop check $(LAB)

setup:            ## make both environments, or bring them up to date
	@$(PYTHON) workshop/environments.py

labs: setup       ## make labs/ from solutions/ (CHECK=1: only say whether they are fresh)
	@$(BIN)/workshop labs $(if $(CHECK),--check)

solutions: setup  ## run the lessons and solutions and store their outputs
	@$(BIN)/workshop solutions

lint: setup       ## ruff and codespell, as in make test
	@$(BIN)/workshop lint

locks: setup      ## make both lock files anew from the pyproject files
	@$(BIN)/workshop locks

benchmark: setup  ## print how fast things are here (ONLY=startup: one of benchmarks/)
	@$(BIN)/python -m benchmarks $(ONLY)
