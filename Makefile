# demo     make an environment, install, analyse the sample pictures, write an HTML report
# install  the environment for development, in .venv
# lint     style, formatting, types, layers
# test     everything that a change must pass, in a fresh environment (what CI runs)
# docs     write docs/cli.md from the commands' own help, and the documentation site into site/

.DEFAULT_GOAL := demo
.PHONY: demo install lint test docs

VENV := .venv
SHELL := bash

demo: $(VENV)/.installed
	@mkdir -p demo-report
	@$(VENV)/bin/deepfake detect samples --explain --html demo-report/report.html || [[ " 1 3 " == *" $$? "* ]]
	@echo "The report: $(CURDIR)/demo-report/report.html"

install: $(VENV)/.installed-dev

lint: $(VENV)/.installed-dev
	@bash .ci/lint $(VENV)/bin

test:
	@bash .ci/run

docs: $(VENV)/.installed-docs
	@$(VENV)/bin/python scripts/make_cli_docs.py
	@$(VENV)/bin/python scripts/build_site.py site

$(VENV)/bin/python:
	@python=$$(bash .ci/find-python) && $$python -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	@echo "Installing into $(VENV); the first time takes a minute or two."
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-docs: pyproject.toml | $(VENV)/bin/python
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e ".[docs]"
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	@echo "Installing into $(VENV) with the development extras; the first time takes some minutes."
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $@ $(VENV)/.installed $(VENV)/.installed-docs
