"""Names and docstrings use the words of `docs/glossary.md`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BANNED = {
    *("paper", "papers", "told", "lesson", "lessons", "manner", "manners", "learnt", "descent"),
    *(
        "shelf",
        "shelves",
        "sureness",
        "lifeline",
        "lifelines",
        "harvest",
        "walk",
        "walks",
        "survey",
        "surveys",
    ),
    *(
        "study",
        "studies",
        "doubt",
        "doubts",
        "doubtful",
        "odd",
        "alike",
        "likeness",
        "look",
        "looks",
        "looked",
    ),
    *(
        "dress",
        "gate",
        "said",
        "fault",
        "faults",
        "errand",
        "errands",
        "beat",
        "tap",
        "strangeness",
        "anchors",
    ),
    *("evidence", "picture", "pictures", "promptness", "offering", "arrivals", "whoever", "turns", "peer"),
}
"""Parts of names that stand for something with a term."""
CLAUSE = re.compile(r"(What|Which|Who|Whom|Whose|Whoever|Where|When|Why|How|That|Those|Whatever|Whether)\b")
STORED = {
    "doubtful": "the command of this name",
    "picture": "HTML's element",
}
"""Names that stay; the glossary says why."""
FILES = [
    *(
        path
        for folder in ("db", "studio", "pages", "tests")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ),
    ROOT / "streamlit_app.py",
]
EXEMPT = {"tests/test_words.py", "tests/test_upgrade.py"}


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield what a module names: classes, functions, parameters, variables, attributes, import aliases."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.alias(asname=str(name)):
                yield node.lineno, name


def parts(name: str) -> set[str]:
    """Divide `snake_case` and `CamelCase` into words in small letters."""
    return {part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in FILES:
        name = path.relative_to(ROOT).as_posix()
        if name not in EXEMPT and "versions/" not in name:
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def test_names_use_the_glossary() -> None:
    offenders = [
        f"{file}:{line}: {name}"
        for file, tree in modules()
        for line, name in names(tree)
        if name not in STORED and parts(name) & BANNED
    ]
    offenders += [
        path.relative_to(ROOT).as_posix()
        for path in FILES
        if parts(path.stem) & BANNED and "versions" not in path.parts
    ]
    assert not offenders


def test_docstrings_begin_with_a_noun_phrase_or_an_imperative() -> None:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    offenders = [
        f"{file}:{getattr(node, 'lineno', 1)}: {text.splitlines()[0]}"
        for file, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, kinds) and (text := ast.get_docstring(node)) and CLAUSE.match(text)
    ]
    assert not offenders
