"""The documentation agrees with the program: links, paths, commands, generated pages, settings."""

import re
import subprocess
from pathlib import Path

import pytest

from studio.settings import Settings
from tests.tools.write_docs import pages

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
CODE_PATH = re.compile(r"`((?:studio|tests|pages|db|docs)/[\w./-]*)`|python (tests/[\w/]+\.py)")


def test_links_lead_somewhere() -> None:
    broken = [
        f"{document.relative_to(ROOT)}: {target}"
        for document in DOCUMENTS
        for target in LINK.findall(document.read_text(encoding="utf-8"))
        if not (document.parent / target).exists()
    ]
    assert not broken


def test_paths_in_the_text_exist() -> None:
    missing = []
    for document in DOCUMENTS:
        for match in CODE_PATH.finditer(document.read_text(encoding="utf-8")):
            path = match[1] or match[2]
            if not (ROOT / path).exists() and "NAME" not in path:
                missing.append(f"{document.relative_to(ROOT)}: {path}")
    assert not missing


def test_generated_pages_are_up_to_date() -> None:
    stale = [
        path.relative_to(ROOT).as_posix()
        for path, text in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    assert not stale, "run: python tests/tools/write_docs.py"


def test_every_decision_is_in_the_index_and_every_title_has_its_number() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    for page in sorted(folder.glob("0*.md")):
        title = page.read_text(encoding="utf-8").splitlines()[0]
        number = int(page.name[:4])
        assert title.startswith(f"# {number}. "), page.name
        assert f"[{title.removeprefix(f'# {number}. ')}]({page.name})" in index, f"{page.name} in the index"


def test_every_setting_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    undocumented = {"openverse_address", "commons_address"}  # for tests and mirrors
    missing = [name for name in Settings.model_fields if f"STUDIO_{name.upper()}" not in readme]
    assert set(missing) <= undocumented


def test_the_continuous_integration_runs_the_readme_s_test_line() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    line = re.search(r"^pip install -r requirements-test.txt && (python -m pytest .*)$", readme, re.MULTILINE)
    assert line is not None
    assert line[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_the_justfile_is_valid() -> None:
    try:
        done = subprocess.run(["just", "--summary"], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("just is not installed")
    assert done.returncode == 0, done.stderr
    assert {"setup", "run", "test", "test-fast", "lint", "bench", "shots", "docs", "metrics"} <= set(
        done.stdout.split()
    )
