# The commands of a working day; CONTRIBUTING.md explains them.
.PHONY: run test test-tools lint format bench screenshots sbom wheel

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

# A software bill of materials, CycloneDX: what a server with requirements.txt has installed by name.
sbom:
	cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
		--output-file genrekit.cdx.json requirements.txt

wheel:
	python -m build

screenshots:
	python docs/make_screenshots.py
