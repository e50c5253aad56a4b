"""Evidence on a terminal and as a page: published figures, accelsim's, differences and what explains them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from accelsim.report.terminal import table

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = dict[str, Any]
KINDS = {
    "validation": "Machines and programs that somebody measured, beside what accelsim predicts of them.",
    "reproduction": "Results of published models and algebra, beside what accelsim computes from the same workload on the same machine.",
    "plausibility": "Claims that rest on measurements or baselines which accelsim does not have, beside what it bounds.",
}


def evidence_blocks(document: Document) -> Iterator[RenderableType]:
    """Every row in a line, then how many hold."""
    for evidence in document["evidence"]:
        yield f"{evidence['title']}\n{evidence['source']}"
        grid = table("row", "published", "accelsim", "difference", "tolerance", "", left=1)
        for row in evidence["rows"]:
            grid.add_row(row["name"], *_cells(row), row["status"])
        yield grid
    yield _tally(document)


def evidence_page(document: Document) -> str:
    """The page, in Markdown: a table for each kind, with a part for each publication."""
    lines = [
        "# Evidence",
        "",
        "<!-- made by `accelsim reproduce -o docs/evidence.md` -->",
        "",
        f"Written by `accelsim reproduce`. {_tally(document)}",
        "",
    ]
    for kind, about in KINDS.items():
        parts = [(each, [row for row in each["rows"] if row["kind"] == kind]) for each in document["evidence"]]
        parts = [(each, rows) for each, rows in parts if rows]
        if not parts:
            continue
        lines += [f"## {kind.capitalize()}", "", about, ""]
        for evidence, rows in parts:
            lines += _part(evidence, rows)
    return "\n".join(lines).rstrip("\n") + "\n"


def _part(evidence: Document, rows: list[Document]) -> list[str]:
    lines = [f"### {evidence['title']}", "", f"{evidence['source']}. `accelsim reproduce {evidence['name']}`", ""]
    if evidence["about"]:
        lines += [evidence["about"], ""]
    lines += ["| row | published | accelsim | difference | tolerance | |", "|---|---:|---:|---:|---:|---|"]
    for row in rows:
        name = row["name"] + (f" ({row['source']})" if row["source"] else "")
        remark = _remark(row)
        lines.append("| " + " | ".join(_escaped(cell) for cell in (name, *_cells(row), remark)) + " |")
    return [*lines, ""]


def _remark(row: Document) -> str:
    parts = []
    if row["status"] == "off":
        parts.append("**off**.")
    if row["not_reproduced"]:
        parts.append(f"Not reproduced: {row['not_reproduced'].rstrip('.')}.")
    if row["shown_by"]:
        parts.append(f"Shown by `{row['shown_by']}`.")
    if row["explanation"]:
        parts.append(f"{row['explanation'].rstrip('.')}.")
    return " ".join(parts)


def _cells(row: Document) -> tuple[str, str, str, str]:
    """Published, accelsim's, the difference and the tolerance as texts; of many figures the worst difference."""
    figures = row["figures"]
    if not figures:
        return "", "", "", ""
    tolerance = row["tolerance"] or ""
    differences = [figure["difference"] for figure in figures if figure["difference"] is not None]
    if len(figures) == 1:
        figure = figures[0]
        sign = {"at least": "≥ ", "at most": "≤ "}.get(row["expect"], "")
        published = " to ".join(_number(value) for value in figure["published"])
        value = "" if figure["value"] is None else f"{_number(figure['value'])} {row['unit']}".strip()
        return f"{sign}{published} {row['unit']}".strip(), value, _share(figure["difference"]), tolerance
    worst = max(differences, key=abs, default=None)
    which = next((figure["case"] for figure in figures if figure["difference"] == worst), "") if worst is not None else ""
    holding = sum(1 for figure in figures if figure["holds"])
    shown = f"{holding} of {len(figures)} agree" if worst is not None else ""
    return f"{len(figures)} figures", shown, f"at most {_share(worst)}" + (f" ({which})" if worst else ""), tolerance


def _share(share: float | None) -> str:
    if share is None:
        return ""
    if share == 0:
        return "0"
    return f"{share:+.2%}".replace("%", " %") if abs(share) >= 5e-5 else f"{share:+.0e}"


def _number(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.4g}" if 1e-3 <= abs(value) < 1e4 else f"{value:,.1f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def _tally(document: Document) -> str:
    rows = [row for evidence in document["evidence"] for row in evidence["rows"]]
    count = {status: sum(1 for row in rows if row["status"] == status) for status in ("within", "off", "not reproduced", "not run")}
    figures = sum(len(row["figures"]) for row in rows if row["status"] in ("within", "off"))
    parts = [
        f"{len(rows)} rows of {len(document['evidence'])} publications, {figures:,} figures: {count['within']} rows within their tolerance"
    ]
    parts.append(f"{count['off']} off")
    parts += [f"{count[status]} {status}" for status in ("not reproduced", "not run") if count[status]]
    return ", ".join(parts) + "."


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
