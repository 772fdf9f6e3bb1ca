"""Figures about the code: sizes, imports, docstrings, names, and the files to open to follow a task.

Run it in a checkout, or name others to compare:

    python tests/tools/metrics.py [FOLDER ...]
"""

import argparse
import ast
import json
import re
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SMALL_LINES = 60
CLAUSE = re.compile(r"(What|Which|Who|Whom|Whose|Whoever|Where|When|Why|How|That|Those|Whatever|Whether)\b")
JOURNEYS = Path(__file__).with_name("journeys.json")


class Module:
    """One Python file of the program (tests are not counted)."""

    def __init__(self, root: Path, path: Path) -> None:
        self.name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        text = path.read_text(encoding="utf-8")
        self.lines = len(text.splitlines())
        self.tree = ast.parse(text)

    def imports(self) -> Iterator[str]:
        """Yield every imported name, also inside functions and under TYPE_CHECKING."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def docstrings(self) -> Iterator[str]:
        """Yield the first line of each docstring."""
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        for node in ast.walk(self.tree):
            if isinstance(node, kinds) and (text := ast.get_docstring(node)):
                yield text.splitlines()[0]

    def types(self) -> Iterator[str]:
        """Yield the names of the public classes and type aliases at the top of the module."""
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef):
                yield node.name
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript | ast.BinOp):
                names = (target.id for target in node.targets if isinstance(target, ast.Name))
                yield from (name for name in names if re.fullmatch(r"[A-Z][a-z]\w*", name))


def modules(root: Path) -> list[Module]:
    """Return the modules of the program below a checkout's root."""
    folders = [root / name for name in ("db", "studio", "pages")]
    paths = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return [Module(root, path) for path in [*paths, root / "streamlit_app.py"]]


def import_graph(found: list[Module]) -> dict[str, set[str]]:
    """Return which modules of the program each one imports."""
    known = {module.name for module in found}
    return {m.name: {name for name in m.imports() if name in known} - {m.name} for m in found}


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of two or more modules that import each other (strongly connected components)."""
    reachable: dict[str, set[str]] = {}
    for start, imported in graph.items():
        seen: set[str] = set()
        waiting = list(imported)
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting.extend(graph[name])
        reachable[start] = seen
    groups = {
        frozenset({name, *(other for other in reachable[name] if name in reachable[other])}) for name in graph
    }
    return sorted(sorted(group) for group in groups if len(group) > 1)


def journeys(root: Path) -> dict[str, int | None]:
    """Return how many files each task goes through; None where no list of `journeys.json` fits the checkout.

    A list is a list of "file: symbol"; it fits where every file is there and names its symbol.
    """
    found: dict[str, int | None] = {}
    for task, lists in json.loads(JOURNEYS.read_text(encoding="utf-8")).items():
        fitting = [steps for steps in lists if all(_fits(root, step) for step in steps)]
        found[task] = len({step.partition(":")[0] for step in fitting[0]}) if fitting else None
    return found


def _fits(root: Path, step: str) -> bool:
    file, _colon, symbol = step.partition(": ")
    path = root / file
    return path.is_file() and symbol in path.read_text(encoding="utf-8")


def javascript_problems(root: Path) -> int | None:
    """Return how many problems `npm run check` finds; None where the checkout has no checker or no npm."""
    npm = shutil.which("npm")
    if npm is None or not (root / "package.json").is_file() or not (root / "node_modules").is_dir():
        return None
    command = [npm, "run", "--silent", "check"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode == 0:
        return 0
    return max(1, len(re.findall(r"error", done.stdout + done.stderr)))


def measure(root: Path) -> dict[str, object]:
    """Return the figures of one checkout, by what they count."""
    found = modules(root)
    lines = {module.name: module.lines for module in found}
    graph = import_graph(found)
    importers: dict[str, int] = defaultdict(int)
    for imported in graph.values():
        for name in imported:
            importers[name] += 1
    homes: dict[str, set[str]] = defaultdict(set)
    for module in found:
        for name in module.types():
            if not name.startswith("_"):
                homes[name].add(module.name)
    return {
        "Python files": len(found),
        "median lines of a module": int(statistics.median(lines.values())),
        "lines of the largest module": max(lines.values()),
        f"modules under {SMALL_LINES} lines with one importer": sum(
            0 < count < SMALL_LINES and importers[name] == 1 for name, count in lines.items()
        ),
        "import cycles (lazy and typing imports counted)": len(cycles(graph)),
        "modules in import cycles": sum(map(len, cycles(graph))),
        "docstrings that begin with a clause": sum(
            bool(CLAUSE.match(line)) for module in found for line in module.docstrings()
        ),
        "type names defined in several modules": sum(len(where) > 1 for where in homes.values()),
        **{f"files opened to follow {task}": count for task, count in journeys(root).items()},
        "problems that the JavaScript checker finds": javascript_problems(root),
    }


def main() -> None:
    """Print a table: a row a figure, a column a checkout."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, default=[ROOT], metavar="FOLDER")
    folders = parser.parse_args().folders
    columns = [measure(folder.resolve()) for folder in folders]
    rows = {name: [column[name] for column in columns] for name in columns[0]}
    width = max(map(len, rows))
    for name, values in rows.items():
        cells = ["n/a" if value is None else f"{value:,}" for value in values]
        sys.stdout.write(f"{name:<{width}}" + "".join(f"{cell:>9}" for cell in cells) + "\n")


if __name__ == "__main__":
    main()
