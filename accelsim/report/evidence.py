"""Evidence on a terminal and as a page: published figures, accelsim's, differences and what explains them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from accelsim.report.terminal import table

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = dict[str, Any]
KINDS = {
    "validation": "Machines that somebody measured, beside what accelsim predicts of them.",
    "reproduction": "Results of published models and algebra, beside what accelsim computes from the same workload on the same machine.",
    "plausibility": "Claims that rest on measurements or baselines which accelsim does not have, beside what it bounds.",
}
STATUSES = ("within", "off", "not reproduced", "not run", "beside")
NOISE = 1e-9  # differences below are those of the last digits of a double


def evidence_blocks(document: Document) -> Iterator[RenderableType]:
    """Every row in a line, then how many hold."""
    for evidence in document["evidence"]:
        yield f"{evidence['title']}\n{evidence['source']}"
        grid = table("row", "published", "accelsim", "difference", "tolerance", "", left=1)
        for row in evidence["rows"]:
            published, value, difference, tolerance = _cells(row, brief=True)
            grid.add_row(row["name"], published, value, difference.partition(" (")[0], tolerance, row["status"])
        yield grid
    yield _tally(_rows(document))


def evidence_page(document: Document) -> str:
    """The page, in Markdown: what has been run, then for each kind a part for each publication."""
    lines = [
        "# Evidence",
        "",
        "<!-- written by `accelsim reproduce -o docs/evidence.md`, not by hand -->",
        "",
        "What others published, beside what accelsim finds with the shipped workloads, machines and mappings. `accelsim reproduce` runs",
        "all of it, and fails if a row is not within its tolerance; [what a row says, and how to write one](reproducing.md). A difference",
        "is a share of the published figure; below 1e-9 it is shown as 0. Of rows with several figures the largest is shown. Rows that",
        "cannot be reproduced are listed with the reason, and like those that only stand beside others they are not judged.",
        "",
        "| | rows | figures | within | off | not reproduced | not run here | beside |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for kind in KINDS:
        rows = [row for row in _rows(document) if row["kind"] == kind]
        if rows:
            counts = [sum(1 for row in rows if row["status"] == status) for status in STATUSES]
            lines.append(f"| [{kind}](#{kind}) | " + " | ".join(f"{count:,}" for count in (len(rows), _figures(rows), *counts)) + " |")
    lines.append("")
    for kind, about in KINDS.items():
        parts = [(each, [row for row in each["rows"] if row["kind"] == kind]) for each in document["evidence"]]
        parts = [(each, rows) for each, rows in parts if rows]
        if parts:
            lines += [f"## {kind.capitalize()}", "", about, ""]
        for evidence, rows in parts:
            lines += _part(evidence, rows)
    return "\n".join(lines).rstrip("\n") + "\n"


def page_line(row: Document) -> str:
    """What the page says of a row."""
    name = row["name"] + (f" ({row['source']})" if row["source"] else "")
    cells = (name, *_cells(row), _remark(row))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def grid_lines(row: Document) -> list[str]:
    """All figures of a row as a table: the last of its axes across, the others down."""
    across = list(dict.fromkeys(figure["labels"][-1] for figure in row["figures"]))
    down: dict[str, dict[str, Document]] = {}
    for figure in row["figures"]:
        down.setdefault(", ".join(figure["labels"][:-1]), {})[figure["labels"][-1]] = figure
    lines = [f"| {row['name']} | " + " | ".join(across) + " |", "|---|" + "---:|" * len(across)]
    for label, figures in down.items():
        cells = [_number(figures[each]["value"]) if each in figures and figures[each]["value"] is not None else "" for each in across]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return lines


def _part(evidence: Document, rows: list[Document]) -> list[str]:
    lines = [f"### {evidence['title']}", "", f"{evidence['source'].rstrip('.')}. `accelsim reproduce {evidence['name']}`", ""]
    if evidence["about"]:
        lines += [evidence["about"], ""]
    lines += ["| row | published | accelsim | difference | tolerance | |", "|---|---:|---:|---:|---:|---|"]
    lines += [*map(page_line, rows), ""]
    for row in rows:
        if row["table"]:
            lines += [*grid_lines(row), ""]
    return lines


_SURE = {"yes": "Figure seen in the source.", "recalled": "Figure from memory."}


def _remark(row: Document) -> str:
    """What explains a row, as sentences."""
    parts = []
    if row["status"] == "off":
        parts.append("**Off.**")
    if row["not_reproduced"]:
        parts.append(f"Not reproduced: {_sentence(row['not_reproduced'])}")
    if row["shown_by"]:
        parts.append(f"Not run here; shown by `{row['shown_by']}`.")
    if row["explanation"]:
        text = _sentence(row["explanation"])
        parts.append(text[0].upper() + text[1:] if text[:2].islower() else text)
    if row["checked"]:
        parts.append(_SURE.get(row["checked"], f"Published figure: {_sentence(row['checked'])}"))
    return " ".join(parts)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _cells(row: Document, brief: bool = False) -> tuple[str, str, str, str]:
    """Published, accelsim's, the difference and the tolerance as texts; of many figures how many agree, and the largest difference.

    `brief`: large numbers with four digits, and the unit once, for a table that a terminal has to hold beside names of rows.
    """
    figures, unit = row["figures"], row["unit"]
    tolerance = row["tolerance"] or ""
    if not figures:
        return "", "", "", tolerance
    if len(figures) == 1:
        figure = figures[0]
        sign = {"at least": "≥ ", "at most": "≤ "}.get(row["expect"], "")
        published = " to ".join(_number(value, brief) for value in figure["published"])
        shown = f"{sign}{published} {unit}".strip() if published else ""
        return shown, _with(figure["value"], "" if brief and shown else unit, brief), _share(figure["difference"]), tolerance
    judged = [figure for figure in figures if figure["holds"] is not None]
    agree = (
        f"{sum(1 for figure in judged if figure['holds'])} of {len(judged)} agree" if judged and row["status"] != "not reproduced" else ""
    )
    compared = [figure for figure in figures if figure["difference"] is not None]
    worst = max(compared, key=lambda figure: abs(figure["difference"]), default=None)
    if worst is None:
        values = [figure["value"] for figure in figures if figure["value"] is not None]
        return "", f"{_number(min(values), brief)} to {_with(max(values), unit, brief)}" if values else "", "", tolerance
    case = f" ({worst['case']})" if abs(worst["difference"]) >= NOISE else ""
    return f"{len(figures)} figures", agree, f"at most {_share(worst['difference'])}{case}", tolerance


def _with(value: float | None, unit: str, brief: bool = False) -> str:
    return "" if value is None else f"{_number(value, brief)} {unit}".strip()


def _share(share: float | None) -> str:
    if share is None:
        return ""
    if abs(share) < NOISE:
        return "0"
    return f"{share:+.2%}".replace("%", " %") if abs(share) >= 5e-5 else f"{share:+.0e}"


def _number(value: float, brief: bool = False) -> str:
    if brief and abs(value) >= 1e6:
        return f"{value:.3e}".replace("e+0", "e").replace("e+", "e")
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.4g}" if 1e-3 <= abs(value) < 1e4 else f"{value:,.1f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def _rows(document: Document) -> list[Document]:
    return [row for evidence in document["evidence"] for row in evidence["rows"]]


def _figures(rows: list[Document]) -> int:
    """Comparisons that are judged."""
    return sum(1 for row in rows for figure in row["figures"] if row["status"] in ("within", "off") and figure["holds"] is not None)


def _tally(rows: list[Document]) -> str:
    counts = {status: sum(1 for row in rows if row["status"] == status) for status in STATUSES}
    parts = [f"{counts['within']} within their tolerance", f"{counts['off']} off"]
    parts += [f"{counts[status]} {status}" for status in STATUSES[2:] if counts[status]]
    figures = _figures(rows)
    return f"{len(rows)} row{'s' * (len(rows) != 1)}, {figures:,} figure{'s' * (figures != 1)}: {', '.join(parts)}."
