"""Topology tables of systolic simulators: a layer in each row, of a convolution (height, width, kernel, …) or of a product (M, N, K)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from accelsim.errors import InputError, Place
from accelsim.io.importers.names import layer_name
from accelsim.io.importers.network import Imported, Request, written
from accelsim.io.importers.sheet import Sheet
from accelsim.io.source import read_text

ABOUT = "tables of layers (.csv)"
_WINDOWS = ("the input's height", "the input's width", "the kernel's height", "the kernel's width", "channels", "filters", "the stride")
_PRODUCT = ("M", "N", "K")
_TYPE = "int8"


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    numbers: tuple[int, ...]
    place: Place


def fits(path: Path, text: str | None) -> bool:
    """Whether a file is of this format."""
    return path.suffix == ".csv" and text is not None


def read(path: Path, request: Request) -> Imported:
    """The layers of a table, in order. Its first line names the columns: M, N and K for products, else those of a convolution."""
    if request.sizes and request.strict:
        raise InputError(f"--size: {path} leaves no size open", "leave --size out")
    lines = read_text(path).lstrip("\ufeff").splitlines()
    if not lines:
        raise InputError("the table is empty", "write a line of column names and a line for each layer", Place(str(path), 1, 1))
    product = [cell.strip().lower() for cell in lines[0].split(",")[1:4]] == ["m", "n", "k"]
    titles = [cell.strip() for cell in lines[0].split(",")]
    width = titles.index("") if "" in titles[4:] else len(titles)  # columns without a title are notes
    rows = [row for number, line in enumerate(lines[1:], 2) if (row := _row(line, Place(str(path), number, 1), product, width)) is not None]
    if not rows:
        raise InputError("the table has no layers", "write a line for each layer", Place(str(path), 1, 1))
    sheets = [(_product if product else _windows)(row, request.type or _TYPE) for row in rows]
    about = f"Imported from {path.name}: sizes of layers, one after the other."
    source = f"{path.name}, a table of {'products' if product else 'layers with windows'}"
    return Imported(written(layer_name(path.stem), about, source, sheets, request))


def _row(line: str, place: Place, product: bool, width: int) -> _Row | None:
    """A line of the table; None of an empty one and of a title, which has no numbers."""
    try:
        cells = [cell.strip() for cell in next(csv.reader([line]), [])]
    except csv.Error as error:
        raise InputError(f"not a row: {error}", "separate numbers by commas", place) from None
    cells = cells[: max(width, 4 if product else 8)]
    while cells and (not cells[-1] or cells[-1].startswith("#")):
        cells.pop()
    if len(cells) < 2:
        return None
    columns = _PRODUCT if product else _WINDOWS
    most = len(columns) + (0 if product else 1)
    if not len(columns) <= len(cells) - 1 <= most:
        what = f"{len(cells) - 1} numbers, and a layer has {len(columns)}{'' if product else ' or 8'}: {', '.join(columns)}"
        raise InputError(what, "write each of them", place)
    numbers = []
    for at, cell in enumerate(cells[1:]):
        here = Place(place.file, place.line, 1 + len(",".join(line.split(",")[: at + 1])) + 1)
        if not (cell.isascii() and cell.isdigit() and len(cell) < 13 and int(cell) > 0):
            raise InputError(f"{columns[min(at, len(columns) - 1)]} is '{cell[:40]}', not a whole number from 1", "write digits", here)
        numbers.append(int(cell))
    return _Row(cells[0], tuple(numbers), place)


def _product(row: _Row, type: str) -> Sheet:
    m, n, k = row.numbers
    types = _types("Z", type)
    return Sheet(layer_name(row.name), ("Z[m,n] = A[m,k] * B[k,n]",), {"m": m, "n": n, "k": k}, types, {}, ("Z",))


def _windows(row: _Row, type: str) -> Sheet:
    """A convolution without padding: the places at which the kernel fits. A name with DP in it: each channel by itself."""
    height, width, r, s, c, k, *strides = row.numbers
    down, across = (*strides, strides[0])[:2]
    if r > height or s > width:
        raise InputError(f"a kernel of {r} x {s} in an input of {height} x {width}", "make the input larger", row.place)
    p, q = (height - r) // down + 1, (width - s) // across + 1
    rows, columns = _along("p", "r", down), _along("q", "s", across)
    reached = (down * (p - 1) + r, across * (q - 1) + s)
    tensors = {} if reached == (height, width) else {"I": f"{{shape: [c, {height}, {width}]}}"}
    if "DP" in row.name:
        several = "k," if k > 1 else ""
        text = f"O[{several}c,p,q] = I[c,{rows},{columns}] * F[{several}c,r,s]"
        shape = ({"k": k} if k > 1 else {}) | {"c": c, "p": p, "q": q, "r": r, "s": s}
    else:
        text = f"O[k,p,q] = I[c,{rows},{columns}] * F[k,c,r,s]"
        shape = {"k": k, "c": c, "p": p, "q": q, "r": r, "s": s}
    return Sheet(layer_name(row.name), (text,), shape, _types("O", type), tensors, ("O",))


def _along(place: str, element: str, stride: int) -> str:
    return f"{place}+{element}" if stride == 1 else f"{stride}*{place}+{element}"


def _types(output: str, type: str) -> dict[str, str]:
    """Numbers of one type, with wider sums where these are of eight bits."""
    return {"default": type} | ({output: f"{{partial: int32, final: {type}}}"} if type == "int8" else {})
