.PHONY: setup demo test lint bench bench-peers lock
PYTHON ?= python3

setup demo test lint lock bench-peers:
	@$(PYTHON) dev $@

bench:
	@$(PYTHON) dev bench $(FIGURES)
