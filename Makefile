# Every target but setup makes the environments first (a second when there is nothing to do).
PYTHON ?= python3
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)

.PHONY: lab test test-all check setup labs solutions site bundle locks lint benchmark mutants

lab: setup        ## start the sandbox and open JupyterLab
	@$(BIN)/workshop lab

test: setup       ## run the tests (ONLY=tests/test_labs.py, or a word: only those; ONLY=answers TABLE=file.py LAB=02)
	@$(BIN)/workshop test $(if $(ONLY),--only "$(ONLY)") $(if $(TABLE),--table "$(TABLE)" --lab "$(LAB)")

test-all: test    ## and then what takes too long for every day: load, long life, functions without forks; for hours, all mutants
	@$(BIN)/workshop test --long
	@$(BIN)/workshop test --longest

check: setup      ## check your own lab: make check LAB=01
	@$(BIN)/workshop check $(LAB)

setup:            ## make both environments, or bring them up to date
	@$(PYTHON) workshop/environments.py

labs: setup       ## make labs/ from solutions/ (CHECK=1: only say whether they are fresh)
	@$(BIN)/workshop labs $(if $(CHECK),--check)

solutions: setup  ## run the lessons and solutions and store their outputs
	@$(BIN)/workshop solutions

site: setup       ## the lessons, labs and solutions as pages, in site/_build/html
	@$(BIN)/workshop site

bundle: setup     ## one archive that installs without a network, for this system and Python, in dist/
	@$(BIN)/workshop bundle

lint: setup       ## ruff and codespell, as in make test
	@$(BIN)/workshop lint

locks: setup      ## bring the lock files to what the pyproject files say (UPGRADE=1: to the newest versions)
	@$(BIN)/workshop locks $(if $(UPGRADE),--upgrade)

benchmark: setup  ## print how fast things are here (ONLY=startup: one of benchmarks/)
	@$(BIN)/python -m benchmarks $(ONLY)

mutants: setup    ## how strong a lab's checks are: make mutants LAB=02 (TASK=3, FRESH=1, WORKERS=2)
	@$(BIN)/python -m tests.mutants $(LAB) $(if $(TASK),--task $(TASK)) $(if $(FRESH),--fresh) $(if $(WORKERS),--workers $(WORKERS))
