"""The examples of docs/pool.md run, in order, as a reader would run them; its YAML is accepted."""

from __future__ import annotations

import re
from pathlib import Path

from memory_assets.dagster.subjects import read_subject

PAGE = Path(__file__).parents[2] / "docs" / "pool.md"


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_examples_run() -> None:
    blocks = examples("python")
    assert len(blocks) >= 6
    exec(compile("\n".join(blocks), str(PAGE), "exec"), {"__name__": "page"})


def test_every_way_is_shown_as_yaml(tmp_path: Path) -> None:
    ways = []
    for text in examples("yaml"):
        file = tmp_path / "defs.yaml"
        file.write_text(text)
        subject = read_subject(file)
        assert subject is not None
        ways.append(subject.way)
    assert ways == ["recipe", "fit", "command", "predictions"]
