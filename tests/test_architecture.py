"""The design's rules, watched: imports run one way, heavy ones stand inside functions, pages are thin."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ["collect", "curate", "retrain", "predict", "share"]
# A layer may import those before it. The frame (settings, errors, …) may be imported by all of studio.
LAYERS = ["db", "frame", *ROOMS, "jobs", "web", "cli", "pages", "streamlit_app"]
HEAVY = {"tensorflow", "keras"}
MODULES = [
    *(
        p
        for f in ("db", "studio", "pages")
        for p in sorted((ROOT / f).rglob("*.py"))
        if "versions" not in p.parts
    ),
    ROOT / "streamlit_app.py",
]


def layer(module: str) -> str | None:
    first, _dot, rest = module.partition(".")
    if first in ("db", "pages", "streamlit_app"):
        return first
    if first != "studio":
        return None
    second = rest.partition(".")[0]
    return second if second in LAYERS else "frame"


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path, *, top_only: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_run_one_way(path: Path) -> None:
    name = name_of(path)
    mine = layer(name)
    if name == "studio.__main__":
        return
    assert mine is not None
    for imported in imports(path):
        theirs = layer(imported)
        if theirs is not None and theirs != mine:
            assert LAYERS.index(theirs) < LAYERS.index(mine), f"{name} may not import {imported}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_tensorflow_is_imported_only_inside_functions_of_two_rooms(path: Path) -> None:
    assert not HEAVY & {module.partition(".")[0] for module in imports(path, top_only=True)}
    if HEAVY & {module.partition(".")[0] for module in imports(path)}:
        assert layer(name_of(path)) in ("retrain", "share")


def test_no_cycles() -> None:
    known = {name_of(path) for path in MODULES}
    graph = {name_of(path): {i for i in imports(path, top_only=True) if i in known} for path in MODULES}
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " → ".join((*way, module))
        if module not in done:
            for imported in graph[module] - {module}:
                visit(imported, (*way, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("path", sorted((ROOT / "pages").glob("*.py")), ids=name_of)
def test_pages_are_thin(path: Path) -> None:
    forbidden = {"sqlalchemy", "requests", "httpx", "db", "ai_edge_litert", *HEAVY}
    assert not forbidden & {module.partition(".")[0] for module in imports(path)}


@pytest.mark.parametrize("path", sorted((ROOT / "pages").glob("*.py")), ids=name_of)
def test_every_text_on_a_page_can_be_translated(path: Path) -> None:
    drawn = {"title", "header", "subheader", "caption", "markdown", "info", "success", "warning", "error"}
    drawn |= {
        "button",
        "form_submit_button",
        "text_input",
        "selectbox",
        "file_uploader",
        "metric",
        "expander",
    }
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in drawn
            and node.args
        ):
            first = node.args[0]
            assert not (isinstance(first, ast.Constant) and isinstance(first.value, str)), (
                f"{path.name}:{node.lineno}: wrap {first.value!r} in _(…)"
            )


@pytest.mark.parametrize(
    "module", ["studio.cli", "studio.web.app", "studio.web.state", "studio.predict.model"]
)
def test_starting_pays_for_no_tensorflow(module: str) -> None:
    code = f"import sys, {module}; sys.exit(bool({{'tensorflow', 'keras'}} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_only_settings_reads_the_environment() -> None:
    readers = set()
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        if "os.environ" in text or "getenv" in text:
            readers.add(name_of(path))
    # Not readers: one hands its environment on to a process, the other tells TensorFlow to be quiet.
    assert readers <= {"studio.settings", "studio.jobs.process", "studio.retrain.quiet"}


def test_modules_say_one_thing() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert not vague & {path.stem for path in MODULES}
    long = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: lines for name, lines in long.items() if lines > 320} == {}
