.PHONY: setup demo test lint bench lock
PYTHON ?= python3

setup demo test lint lock:
	@$(PYTHON) dev $@

bench:
	@$(PYTHON) dev bench $(FIGURES)
