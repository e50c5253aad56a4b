"""Matrices from files: what SciPy writes is read back, and what is wrong is said with its line."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import io, sparse

from accelsim.errors import InputError
from accelsim.io.matrix import load_matrix

HEAD = "%%MatrixMarket matrix coordinate real general\n"


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1), st.sampled_from(["real", "integer", "pattern"]), st.booleans())
def test_what_scipy_writes_is_read_back(tmp_path_factory: Any, rows: int, columns: int, seed: int, field: str, packed: bool) -> None:
    chances = np.random.default_rng(seed)
    made = chances.integers(-3, 4, (rows, columns)) * (chances.random((rows, columns)) < 0.5)
    path = tmp_path_factory.mktemp("matrix") / "a.mtx"
    io.mmwrite(path, sparse.coo_array(made), comment="made\nhere", field=field, symmetry="general")
    if packed:
        (path.parent / "a.mtx.gz").write_bytes(gzip.compress(path.read_bytes()))
        path = path.parent / "a.mtx.gz"
    assert np.array_equal(load_matrix(path, (rows, columns)).toarray(), made != 0 if field == "pattern" else made)
    sparse.save_npz(path.parent / "a.npz", sparse.csc_array(made))
    assert np.array_equal(load_matrix(path.parent / "a.npz").toarray(), made)


@pytest.mark.parametrize("symmetry", ["general", "symmetric", "skew-symmetric"])
@pytest.mark.parametrize("form", [sparse.coo_array, np.asarray], ids=["coordinates", "array"])
def test_halves_are_mirrored(symmetry: str, form: Any, tmp_path: Path) -> None:
    half = np.tril(np.arange(1.0, 17).reshape(4, 4), -1)
    whole = {"general": half, "symmetric": half + half.T + np.eye(4), "skew-symmetric": half - half.T}[symmetry]
    io.mmwrite(tmp_path / "a.mtx", form(whole), symmetry=symmetry)
    assert np.array_equal(load_matrix(tmp_path / "a.mtx").toarray(), whole)


def test_arrays_of_rows_are_read_without_values(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", indptr=[0, 1, 1, 3], indices=[2, 0, 1], shape=[3, 3])
    assert load_matrix(tmp_path / "a.npz").toarray().tolist() == [[0, 0, 1], [0, 0, 0], [1, 1, 0]]


def test_a_zero_that_is_stored_stays(tmp_path: Path) -> None:
    (tmp_path / "a.mtx").write_text(f"{HEAD}2 2 2\n1 1 0\n2 2 5\n")
    assert load_matrix(tmp_path / "a.mtx").nnz == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1: a Matrix Market file begins with '%%MatrixMarket matrix coordinate real general' or another kind"),
        ("%%MatrixMarket matrix coordinate complex general\n1 1 0\n", "1: 'complex' matrices are not read; known: integer, pattern, real"),
        ("%%MatrixMarket matrix coordinate real hermitian\n1 1 0\n", "1: 'hermitian' matrices are not read"),
        ("%%MatrixMarket matrix cordinate real general\n1 1 0\n", "1: 'cordinate' matrices are not read; did you mean 'coordinate'?"),
        (f"{HEAD}% nothing\n", "3: the sizes are missing; write rows, columns and entries"),
        (f"{HEAD}2 2\n", "2: '2 2' are no sizes; write rows, columns and entries as whole numbers below 2^31"),
        (f"{HEAD}2 -2 1\n", "2: '2 -2 1' are no sizes"),
        (f"{HEAD}2 2 2\n1 1 3\n", "3: the file ends after 1 of 2 entries; correct the line of sizes, or fetch it again"),
        (f"{HEAD}2 2 1\n1 1 3\n2 2 4\n", "4: more than 1 entries; correct the line of sizes, or remove some"),
        (f"{HEAD}2 2 2\n1 1 3\n\n% half\n3 1 4\n", "6: row 3 is outside a matrix of 2 x 2; count from 1, or give the matrix more"),
        (f"{HEAD}2 2 1\n0 1 3\n", "3: row 0 is outside a matrix of 2 x 2"),
        (f"{HEAD}2 2 1\n99999999999999999999 1 3\n", "3: row 99999999999999999999 is outside a matrix of 2 x 2"),
        (f"{HEAD}2 2 1\n1 5 3\n", "3: column 5 is outside a matrix of 2 x 2"),
        (f"{HEAD}2 2 2\n1 1 3\n1 1 4\n", "4: element (1, 1) is in line 3 too; state each once"),
        (f"{HEAD}2 2 1\n1 1 nan\n", "3: 'nan' is not a finite number; write a number"),
        (f"{HEAD}2 2 1\n1 1 inf\n", "3: 'inf' is not a finite number"),
        (f"{HEAD}2 2 1\n1 1\n", "3: '1 1' is no entry; write row and column and value"),
        (f"{HEAD}2 2 1\n1 1 2 3\n", "3: '1 1 2 3' is no entry"),
        (f"{HEAD}2 2 1\n1.5 1 3\n", "3: '1.5' is no number; write a whole number"),
        (f"{HEAD}2 2 1\n1 1 x\n", "3: 'x' is no number; write a number"),
        (HEAD.replace("real", "integer") + "2 2 1\n2 1 1.5\n", "3: '1.5' is no whole number; write one, or 'real' instead of 'integer'"),
        (HEAD.replace("coordinate real", "array integer") + "2 1\n-3\n1e-9\n", "4: '1e-9' is no whole number; write one, or 'real'"),
        (HEAD.replace("general", "symmetric") + "2 3 0\n", "2: a symmetric matrix of 2 x 3 is not square; write 'general' in line 1"),
        (HEAD.replace("general", "symmetric") + "2 2 1\n1 2 5\n", "3: element (1, 2) is not below the diagonal"),
        (HEAD.replace("coordinate", "array") + "2 2\n1\n2\n3\n", "5: the file ends after 3 of 4 entries"),
        (HEAD.replace("coordinate", "array") + "99999999 99999999\n1\n", "3: the file ends after 1 of 9,999,999,800,000,001 entries"),
        (f"{HEAD}2000000000 2 0\n", "2: a matrix of 2000000000 x 2; give at most 134,217,728 rows and columns"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_is_wrong_is_said_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.mtx"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        load_matrix(path)
    assert str(error.value).startswith(f"{path}:{said}")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"indices": [0], "shape": [1, 1]}, "there is no array 'indptr'"),
        ({"indices": [0], "indptr": [0, 1], "shape": [2, 1]}, "a matrix of shape (2, 1) has no 2 row pointers, 1 indices and 1 values"),
        ({"indices": [0], "indptr": [0, 2], "shape": [1, 1]}, "'indptr' does not rise from 0 to the 1 indices"),
        ({"indices": [4], "indptr": [0, 1], "shape": [1, 2]}, "column 4 of row 0 is outside a matrix of 1 x 2"),
        ({"indices": [1, 1], "indptr": [0, 2], "shape": [1, 2]}, "element (0, 1) is there twice; state each once"),
        ({"indices": [1.0], "indptr": [0, 1], "shape": [1, 2]}, "'indices' holds float64, not whole numbers"),
        ({"indices": [1], "indptr": [0, 1], "shape": [1, 2], "data": [np.nan]}, "'data' holds values that are no finite numbers"),
    ],
)
def test_wrong_arrays_are_refused(arrays: dict[str, Any], said: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError) as error:
        load_matrix(tmp_path / "a.npz")
    assert str(error.value).startswith(f"{tmp_path / 'a.npz'}: {said}")


def test_an_empty_list_of_indices_is_one_of_whole_numbers(tmp_path: Path) -> None:
    """`np.savez` writes an empty list as floats."""
    np.savez(tmp_path / "a.npz", indices=[], indptr=[0, 0, 0], shape=[2, 3])
    found = load_matrix(tmp_path / "a.npz")
    assert (found.shape, found.nnz) == ((2, 3), 0)
    np.savez(tmp_path / "b.npz", format="csr", data=[], indices=[], indptr=[0, 0, 0], shape=[2, 3])
    assert load_matrix(tmp_path / "b.npz").nnz == 0


def test_another_shape_than_declared_and_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mtx").write_text(f"{HEAD}2 3 0\n")
    with pytest.raises(InputError, match="the matrix is 2 x 3, where one of 3 x 2 is declared; change the sizes of the ranks"):
        load_matrix(tmp_path / "a.mtx", (3, 2))
    with pytest.raises(InputError, match="there is no file"):
        load_matrix(tmp_path / "b.mtx")
    (tmp_path / "c.npz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="no file of NumPy arrays"):
        load_matrix(tmp_path / "c.npz")
    (tmp_path / "d.mtx.gz").write_bytes(gzip.compress(b"x" * 100)[:20])
    with pytest.raises(InputError, match="cannot be read: it is damaged; name a"):
        load_matrix(tmp_path / "d.mtx.gz")
    with pytest.raises(InputError, match="cannot be read: is a directory"):
        load_matrix(tmp_path)
