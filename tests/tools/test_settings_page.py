"""docs/settings.md is what the settings say."""

from __future__ import annotations

from pathlib import Path

from cl_bench.tools.settings_page import markdown


def test_the_committed_page_is_generated() -> None:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text(encoding="utf-8") == markdown()
