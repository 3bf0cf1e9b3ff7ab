# The commands of a working day; CONTRIBUTING.md explains them.
.PHONY: run test test-tools lint format bench screenshots

run:
	streamlit run streamlit_app.py

test:
	pytest

test-tools:
	pytest -m tools

lint:
	ruff check .
	ruff format --check .
	codespell
	mypy

format:
	ruff check --fix .
	ruff format .

bench:
	python -m benchmarks

screenshots:
	python docs/make_screenshots.py
