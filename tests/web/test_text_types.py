"""The texts that Python hands to the components have the keys that the JavaScript's types say."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from studio.web.curate.texts import dialog_texts, grid_texts
from studio.web.retrain import component as runs_panel

WEB = Path(__file__).resolve().parents[2] / "studio" / "web"


def declaration(name: str, texts: Mapping[str, Any]) -> str:
    """Return the TypeScript interface of nested texts; {"one", "many"} is a plural."""
    return "\n".join(
        [
            "// The component's texts by part, as Python gives them: see tests/web/test_text_types.py.",
            'import type { Plural } from "../../../share/web_demo/page/types.js";',
            "",
            f"export interface {name} {{",
            *_members(texts, "  "),
            "}",
            "",
        ]
    )


def _members(texts: Mapping[str, Any], indent: str) -> list[str]:
    lines = []
    for key, value in sorted(texts.items()):
        if isinstance(value, str):
            lines.append(f"{indent}{key}: string;")
        elif set(value) == {"one", "many"}:
            lines.append(f"{indent}{key}: Plural;")
        else:
            lines += [f"{indent}{key}: {{", *_members(value, indent + "  "), f"{indent}}};"]
    return lines


@pytest.mark.parametrize(
    ("folder", "name", "texts"),
    [
        ("curate", "CurateTexts", grid_texts() | dialog_texts()),
        ("retrain", "RunsTexts", runs_panel.texts()),
    ],
)
def test_types_have_the_keys_of_the_texts(folder: str, name: str, texts: Mapping[str, Any]) -> None:
    path = WEB / folder / "frontend" / "texts.d.ts"
    found, expected = path.read_text(encoding="utf-8"), declaration(name, texts)
    difference = "\n".join(difflib.unified_diff(found.splitlines(), expected.splitlines(), lineterm=""))
    assert found == expected, f"{path} is to be changed so:\n{difference}"
