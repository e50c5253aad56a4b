"""The style and the scripts of a page, which ship beside this file."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

STYLES = ("page.css",)
SCRIPTS = ("page.js", "timeline.js")


@cache
def asset(name: str) -> str:
    """The text of a style or a script."""
    return files("accelsim.report.html").joinpath(name).read_text(encoding="utf-8")
