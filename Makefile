.PHONY: setup demo test test-parity lint bench bench-peers lock
PYTHON ?= python3

setup demo test test-parity lint lock bench-peers:
	@$(PYTHON) dev $@

bench:
	@$(PYTHON) dev bench $(FIGURES)
