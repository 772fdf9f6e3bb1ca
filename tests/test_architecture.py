"""The rules of `docs/architecture.md`: one test a rule, each failing with the list of offenders."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BASE = "settings, errors, …"
# A package may import those of an earlier row, and of its own row only itself.
LAYERS = [
    {"db"},
    {BASE},
    {"jobs"},
    {"images"},
    {"datasets", "backbones"},
    {"collect", "curate", "retrain"},
    {"predict"},
    {"share"},
    {"worker"},
    {"web"},
    {"cli", "pages"},
    {"streamlit_app"},
]
RANK = {package: rank for rank, row in enumerate(LAYERS) for package in row}
HEAVY = {"tensorflow", "keras"}
MAX_LINES = 700
PAGES = sorted((ROOT / "pages").glob("*.py"))
MODULES = [
    *(
        path
        for folder in ("db", "studio", "pages")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "versions" not in path.parts
    ),
    ROOT / "streamlit_app.py",
]


def package_of(module: str) -> str | None:
    """Return the part of the project that a module belongs to; None for other libraries."""
    first, _dot, rest = module.partition(".")
    if first in RANK:
        return first
    if first != "studio":
        return None
    second = rest.partition(".")[0]
    return second if second in RANK else BASE


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path, *, top_only: bool = False) -> Iterator[str]:
    """Yield what a file imports; also inside functions and under TYPE_CHECKING, unless top_only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_imports_run_one_way() -> None:
    offenders = []
    for path in MODULES:
        name = name_of(path)
        own = package_of(name)
        if name == "studio.__main__" or own is None:
            continue
        for imported in imports(path):
            other = package_of(imported)
            if other is not None and other != own and RANK[other] >= RANK[own]:
                offenders.append(f"{name} imports {imported}")
    assert not offenders


def test_no_import_cycles() -> None:
    known = {name_of(path) for path in MODULES}
    graph = {
        name_of(path): sorted({i for i in imports(path) if i in known} - {name_of(path)}) for path in MODULES
    }
    cycles: list[str] = []
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        if module in way:
            cycles.append(" → ".join((*way[way.index(module) :], module)))
        elif module not in done:
            for imported in graph[module]:
                visit(imported, (*way, module))
            done.add(module)

    for module in graph:
        visit(module, ())
    assert not cycles


def test_tensorflow_is_imported_only_inside_functions_that_train_or_convert() -> None:
    offenders = []
    for path in MODULES:
        at_top = HEAVY & {module.partition(".")[0] for module in imports(path, top_only=True)}
        anywhere = HEAVY & {module.partition(".")[0] for module in imports(path)}
        if at_top or (anywhere and package_of(name_of(path)) not in ("backbones", "retrain", "share")):
            offenders.append(name_of(path))
    assert not offenders


def test_starting_imports_no_tensorflow() -> None:
    code = (
        "import sys, studio.cli, studio.web.app, studio.web.state, studio.worker.worker\n"
        "sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_pages_are_thin() -> None:
    forbidden = {"sqlalchemy", "requests", "httpx", "db", "ai_edge_litert", *HEAVY}
    offenders = [
        path.name for path in PAGES if forbidden & {module.partition(".")[0] for module in imports(path)}
    ]
    assert not offenders


def test_every_text_on_a_page_can_be_translated() -> None:
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
    offenders = [
        f"{path.name}:{node.lineno}: wrap {node.args[0].value!r} in _(…)"
        for path in PAGES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in drawn
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    ]
    assert not offenders


def test_only_settings_reads_the_environment() -> None:
    readers = set()
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        if "os.environ" in text or "getenv" in text:
            readers.add(name_of(path))
    # Not readers: one hands its environment on to a process, the other quiets TensorFlow.
    assert readers <= {"studio.settings", "studio.process", "studio.backbones.interpreter"}


def test_modules_have_names_and_sizes_that_say_one_thing() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert not vague & {path.stem for path in MODULES}
    lines = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}
