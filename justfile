# The project's tasks. `just` is optional: each recipe is the command that one would type.
set windows-shell := ["powershell.exe", "-NoLogo", "-Command"]

python := if os() == "windows" { "python" } else { "python3" }

# List the recipes.
default:
    @just --list

# Install what running and testing need into the active environment, the hooks, and the JavaScript checker.
setup:
    {{python}} -m pip install -r requirements-test.txt
    pre-commit install
    npm ci

# Open the studio in the browser.
run *arguments:
    {{python}} -m studio {{arguments}}

# Run all tests.
test:
    {{python}} -m pytest -n 3 --dist loadfile

# Run the tests that need neither a browser nor much time.
test-fast:
    {{python}} -m pytest -n 2 --dist loadfile -m "not browser and not slow"

# Check style, types and JavaScript.
lint:
    ruff check .
    ruff format --check .
    mypy
    npm run check
    npm test

# Run a benchmark by its name in tests/benchmarks, with its arguments.
bench name *arguments:
    {{python}} tests/benchmarks/{{name}}.py {{arguments}}

# Print figures about the code, of this checkout and of others.
metrics *folders=".":
    {{python}} tests/tools/metrics.py {{folders}}

# Make the README's screenshots from a running studio.
shots:
    {{python}} tests/tools/screenshots.py

# Write the pages that are made from the program: docs/cli.md and docs/backbones.md.
docs:
    {{python}} tests/tools/write_docs.py
