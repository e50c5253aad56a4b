"""Matrices from files: Matrix Market (`.mtx`, `.mtx.gz`) and NumPy's `.npz`, as SciPy writes it or with the arrays of a CSR matrix.

Source: R. Boisvert, R. Pozo, K. Remington, The Matrix Market Exchange Formats: Initial Design, NISTIR 5935, 1996.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_MOST = 1 << 27  # rows or columns, each of which takes a pointer
_FIELDS = {"real": 1, "integer": 1, "pattern": 0}
_SYMMETRIES = {"general": 0, "symmetric": 1, "skew-symmetric": -1}


def load_matrix(path: Path, shape: tuple[int, int] | None = None) -> Any:
    """The matrix in a file as a SciPy CSR array of float64, elements that are stored as zero kept.

    Refuses what is not a matrix, coordinates outside it or stated twice, values that are no finite numbers, and one of another `shape`,
    with the line where there is one.
    """
    try:
        found = _numpy(path) if path.suffix == ".npz" else _market(path)
    except FileNotFoundError:
        raise InputError(f"there is no file {path}", "name a .mtx or .npz file") from None
    except (OSError, EOFError, zlib.error) as error:
        what = (getattr(error, "strerror", None) or "it is damaged").lower()
        raise InputError(f"{path}: cannot be read: {what}", "name a .mtx or .npz file") from None
    if shape is not None and found.shape != shape:
        what = f"{path}: the matrix is {found.shape[0]} x {found.shape[1]}, where one of {shape[0]} x {shape[1]} is declared"
        raise InputError(what, "change the sizes of the ranks, or name another file")
    return found


@dataclass(frozen=True, slots=True)
class _Market:
    """A Matrix Market file: its lines, how many values an entry has, whether they are whole, how it is mirrored, where entries begin."""

    path: Path
    text: str
    values: int
    whole: bool
    mirror: int
    first_line: int
    first: int

    def error(self, line: int, what: str, mend: str) -> InputError:
        return InputError(f"{self.path}:{line}: {what}", mend)

    def entries(self) -> Iterator[tuple[int, list[str]]]:
        """Line and words of every entry."""
        for number, line in enumerate(self.text[self.first :].splitlines(), self.first_line):
            words = line.split()
            if words and not line.lstrip().startswith("%"):
                yield number, words


def _market(path: Path) -> Any:
    import gzip

    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8", "replace")
    words = text[: text.find("\n") if "\n" in text else len(text)].lower().split()
    if len(words) != 5 or words[0] != "%%matrixmarket" or words[1] != "matrix":
        what = "a Matrix Market file begins with '%%MatrixMarket matrix coordinate real general' or another kind"
        raise InputError(f"{path}:1: {what}", "write that line, or name another file")
    _, _, layout, field, symmetry = words
    for name, known in ((layout, {"coordinate", "array"}), (field, _FIELDS), (symmetry, _SYMMETRIES)):
        if name not in known:
            raise InputError(f"{path}:1: '{name}' matrices are not read", did_you_mean(name, known))
    first, line = text.find("\n") + 1 or len(text), 2
    while first < len(text):
        end = text.find("\n", first)
        end = len(text) if end < 0 else end
        sizes = text[first:end].split()
        first, line = end + 1, line + 1
        if sizes and not sizes[0].startswith("%"):
            break
    else:
        raise InputError(f"{path}:{line}: the sizes are missing", "write rows, columns and entries")
    market = _Market(path, text, _FIELDS[field], field == "integer", _SYMMETRIES[symmetry], line, first)
    numbers = [int(each) for each in sizes if each.isascii() and each.isdigit()]
    if len(numbers) != len(sizes) or len(numbers) != (3 if layout == "coordinate" else 2) or any(number >= 1 << 31 for number in numbers):
        what = "rows, columns and entries" if layout == "coordinate" else "rows and columns"
        raise market.error(line - 1, f"'{' '.join(sizes)}' are no sizes", f"write {what} as whole numbers below 2^31")
    if market.mirror and numbers[0] != numbers[1]:
        raise market.error(line - 1, f"a {symmetry} matrix of {numbers[0]} x {numbers[1]} is not square", "write 'general' in line 1")
    if max(numbers[:2]) > _MOST:
        raise market.error(line - 1, f"a matrix of {numbers[0]} x {numbers[1]}", f"give at most {_MOST:,} rows and columns")
    if layout == "array":
        return _array(market, numbers[0], numbers[1])
    return _coordinates(market, *numbers)


def _coordinates(market: _Market, rows: int, columns: int, count: int) -> Any:
    from scipy import sparse

    width = 2 + market.values
    found = _read(market, count, width)
    row, column = (np.clip(each, -1, 1 << 31).astype(np.int64) - 1 for each in (found[:, 0], found[:, 1]))
    values = found[:, 2] if market.values else np.ones(count)
    for name, places, size in (("row", row, rows), ("column", column, columns)):
        wrong = np.flatnonzero((places < 0) | (places >= size))
        if wrong.size:
            line, words = _entry(market, int(wrong[0]))
            mend = "count from 1, or give the matrix more in its line of sizes"
            raise market.error(line, f"{name} {words[name == 'column']} is outside a matrix of {rows} x {columns}", mend)
    if market.mirror:
        above = np.flatnonzero((row <= column) if market.mirror < 0 else (row < column))
        if above.size:
            line, words = _entry(market, int(above[0]))
            what = f"element ({words[0]}, {words[1]}) is not below the diagonal"
            raise market.error(line, what, "write of a symmetric matrix only the lower half")
    places = row * columns + column
    order = np.argsort(places, kind="stable")
    again = np.flatnonzero(np.diff(places[order]) == 0)
    if again.size:
        number = int(order[again + 1].min())
        line, words = _entry(market, number)
        before = _entry(market, int(np.flatnonzero(places == places[number])[0]))[0]
        raise market.error(line, f"element ({words[0]}, {words[1]}) is in line {before} too", "state each once")
    if market.mirror:
        off = row != column
        row, column, values = (
            np.concatenate(pair) for pair in ((row, column[off]), (column, row[off]), (values, market.mirror * values[off]))
        )
    return sparse.csr_array((values, (row, column)), shape=(rows, columns))


def _array(market: _Market, rows: int, columns: int) -> Any:
    """Column after column, of a symmetric matrix each from its diagonal on."""
    from scipy import sparse

    if market.values == 0:
        raise market.error(1, "an array has no pattern", "write 'coordinate' or 'real'")
    if rows * columns > 4 * len(market.text):  # not even half of the elements, of two characters each, are there
        return _by_line(market, rows * columns // (2 if market.mirror else 1), 1)
    starts = [at + (market.mirror < 0) if market.mirror else 0 for at in range(columns)]
    found = _read(market, sum(max(0, rows - start) for start in starts), 1)[:, 0]
    made, at = np.zeros((rows, columns)), 0
    for column, start in enumerate(starts):
        made[start:, column] = found[at : at + max(0, rows - start)]
        at += max(0, rows - start)
    if market.mirror:
        made += market.mirror * np.tril(made, -1).T
    return sparse.csr_array(made)


def _read(market: _Market, count: int, width: int) -> Numbers:
    """The numbers of all entries, float64[entries, width]; coordinates are whole, and values of the field 'integer'."""
    body = market.text[market.first :]
    if "%" in body:
        body = "\n".join(" ".join(words) for _, words in market.entries())
    try:
        flat = np.array(body.split(), np.float64)
    except ValueError:
        flat = np.zeros(0)
    found = flat.reshape(-1, width) if flat.size and flat.size % width == 0 else np.zeros((0, width))
    whole = found if market.whole else found[:, : width - market.values]
    if found.shape[0] == count and np.isfinite(found).all() and np.array_equal(whole, np.floor(whole)):
        return found
    return _by_line(market, count, width)


def _by_line(market: _Market, count: int, width: int) -> Numbers:
    """The same line by line, to say what is wrong where."""
    found, line = list[list[float]](), market.first_line - 1
    for line, words in market.entries():
        if len(found) == count:
            raise market.error(line, f"more than {count:,} entries", "correct the line of sizes, or remove some")
        if len(words) != width:
            kinds = ("row", "column", "value")[:width] if width > 1 else ("value",)
            raise market.error(line, f"'{' '.join(words)}' is no entry", f"write {' and '.join(kinds)}")
        numbers = []
        for place, word in enumerate(words):
            try:
                number = int(word) if width > 1 and place < 2 else float(word)
            except ValueError:
                raise market.error(line, f"'{word}' is no number", "write a whole number" if place < 2 else "write a number") from None
            if not math.isfinite(number):
                raise market.error(line, f"'{word}' is not a finite number", "write a number")
            if market.whole and not float(number).is_integer():
                raise market.error(line, f"'{word}' is no whole number", "write one, or 'real' instead of 'integer' in line 1")
            numbers.append(float(number))
        found.append(numbers)
    if len(found) < count:
        raise market.error(line, f"the file ends after {len(found):,} of {count:,} entries", "correct the line of sizes, or fetch it again")
    return np.array(found, np.float64).reshape(count, width)


def _entry(market: _Market, number: int) -> tuple[int, list[str]]:
    """Line and words of an entry by its number."""
    return next(entry for at, entry in enumerate(market.entries()) if at == number)


def _numpy(path: Path) -> Any:
    """`data`, `indices`, `indptr`, `shape` of CSR (as `scipy.sparse.save_npz` writes, which adds `format`); without `data` all are 1."""
    import zipfile

    from scipy import sparse

    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, zipfile.BadZipFile):
        raise InputError(f"{path}: no file of NumPy arrays", "write it with numpy.savez or scipy.sparse.save_npz") from None
    if "format" in arrays:
        try:
            found = sparse.load_npz(path).tocsr()
        except (ValueError, NotImplementedError, KeyError) as error:
            raise InputError(f"{path}: no sparse matrix: {error}", "write it with scipy.sparse.save_npz") from None
        arrays = {"data": found.data, "indices": found.indices, "indptr": found.indptr, "shape": np.array(found.shape)}
    if absent := sorted({"indices", "indptr", "shape"} - arrays.keys()):
        raise InputError(f"{path}: there is no array '{absent[0]}'", "write indices, indptr and shape of a CSR matrix, and data")
    indices, starts, shape = (arrays[name].ravel() for name in ("indices", "indptr", "shape"))
    data = arrays.get("data", np.ones(indices.size)).ravel()
    for name, array in (("indices", indices), ("indptr", starts), ("shape", shape)):
        if array.size and array.dtype.kind not in "iu":
            raise InputError(f"{path}: '{name}' holds {array.dtype}, not whole numbers", "write it as integers")
    if shape.size != 2 or starts.size != shape[0] + 1 or data.size != indices.size:
        what = f"a matrix of shape {tuple(shape.tolist())} has no {starts.size} row pointers, {indices.size} indices and {data.size} values"
        raise InputError(f"{path}: {what}", "write rows + 1 pointers, and as many indices as values")
    if max(shape) > _MOST:
        raise InputError(f"{path}: a matrix of {shape[0]} x {shape[1]}", f"give at most {_MOST:,} rows and columns")
    if starts[0] != 0 or starts[-1] != indices.size or np.any(np.diff(starts.astype(np.int64)) < 0):
        raise InputError(f"{path}: 'indptr' does not rise from 0 to the {indices.size} indices", "write where each row begins, and the end")
    row = np.repeat(np.arange(int(shape[0])), np.diff(starts.astype(np.int64)))
    return _checked(path, row, indices.astype(np.int64), data, (int(shape[0]), int(shape[1])))


def _checked(path: Path, row: NDArray[np.int64], column: NDArray[np.int64], data: Any, shape: tuple[int, int]) -> Any:
    """Coordinates and values without lines, as a matrix."""
    from scipy import sparse

    outside = np.flatnonzero((column < 0) | (column >= shape[1]))
    if outside.size:
        at = outside[0]
        what = f"column {column[at]} of row {row[at]} is outside a matrix of {shape[0]} x {shape[1]}"
        raise InputError(f"{path}: {what}", "count from 0, or give a larger shape")
    if data.dtype.kind not in "iufb" or not np.isfinite(data.astype(np.float64)).all():
        raise InputError(f"{path}: 'data' holds values that are no finite numbers", "write numbers")
    order = np.argsort(row * shape[1] + column, kind="stable")
    again = np.flatnonzero(np.diff((row * shape[1] + column)[order]) == 0)
    if again.size:
        at = order[again[0]]
        raise InputError(f"{path}: element ({row[at]}, {column[at]}) is there twice", "state each once")
    return sparse.csr_array((data.astype(np.float64), (row, column)), shape=shape)
