"""docs/workloads.md: every shipped workload is on it, every link leads to a file, and passes are those that the analysis finds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from accelsim.io.catalogue import WORKLOAD, shipped
from accelsim.io.workload import load_workload
from accelsim.workload.cascade import Cascade
from accelsim.workload.passes import passes

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "workloads.md").read_text("utf-8")
ROW = re.compile(r"^\| \[(?P<name>[^]]+)\]\([^)]+\) \| [^|]+ \| (?P<passes>[^|]+) \| [^|]+ \|$", re.MULTILINE)
COUNT = re.compile(r"(?P<count>\d) over (?P<rank>\w+)(?:: (?P<crosses>[\w, ]+?))?(?: \[(?P<again>[\w, ]+)\])?")
ROWS = {row["name"]: row["passes"] for row in ROW.finditer(PAGE) if row["passes"] != "-"}


def listed(text: str | None) -> set[str]:
    return set(text.split(", ")) if text else set()


@pytest.mark.parametrize("name", ROWS)
def test_passes_on_the_page_are_those_of_the_workload(name: str) -> None:
    made = load_workload(shipped(WORKLOAD)[name], {})
    assert isinstance(made, Cascade)
    for part in ROWS[name].split("; "):
        stated = COUNT.fullmatch(part)
        assert stated is not None, part
        found = passes(made, stated["rank"])
        assert (int(stated["count"]), listed(stated["crosses"])) == (found.count, {item.tensor for item in found.crossing})
        assert listed(stated["again"]) == set(found.reread)


def test_every_shipped_workload_or_its_folder_is_on_the_page() -> None:
    folders = {f"{name.split('/')[0]}/" for name in shipped(WORKLOAD) if "/" in name}
    names = {name for name in shipped(WORKLOAD) if "/" not in name}
    missing = [*(name for name in names if f"[{name}](" not in PAGE), *(folder for folder in folders if f"`{folder}`" not in PAGE)]
    assert missing == [], "add them to docs/workloads.md"


def test_every_link_of_the_page_leads_to_a_file() -> None:
    links = [target.split("#")[0] for target in re.findall(r"\]\(([^)]+)\)", PAGE) if not target.startswith("http")]
    assert [link for link in links if not (DOCS / link).exists()] == []


def test_rows_of_the_page_are_read() -> None:
    """All but two with a link and four columns: a row that is written in another way would not be checked."""
    assert len(ROWS) == len(re.findall(r"^\| \[[^]]+\]\([^)]+\) \|[^|]*\|[^|]*\|[^|]*\|$", PAGE, re.MULTILINE)) - 2 >= 50
