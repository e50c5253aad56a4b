"""`accelsim count`: the counts of a recorded product as data and as a report, and bad input in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scipy import sparse

from accelsim.cli import main
from tests.sparse.test_cases import case, matrix


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    arrays, _ = case("c02_rect")
    for letter in "AB":
        sparse.save_npz(tmp_path / f"{letter}.npz", sparse.csr_matrix(matrix(arrays, letter)))
    return [str(tmp_path / f"{letter}.npz") for letter in "AB"]


def test_a_product_is_counted(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    _, said = case("c02_rect")
    assert main(["count", *files, "--units", "4", "--radix", "4", "--cache", "64", "--json", "-", "-q"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [each["nonzeros"] for each in document["matrices"]] == [said["nnzA"], said["nnzB"], said["nnzC_structural"]]
    bits = said["format_bits"]["v64i32p32"]["C_rowmajor"]
    assert document["matrices"][2]["format_bits"]["csr"] == bits["csr"]
    product = document["product"]
    assert (product["multiplications"], product["additions"]) == (said["effectual_mults"], said["adds"])
    assert product["merge"] == {"radix": 4, "cycles": said["merge"]["radix4"]["cycles"], "passes": said["merge"]["radix4"]["max_passes"]}
    assert product["units"]["dynamic"] == said["pe_balance"]["4"]["dynamic_makespan"]
    assert product["cache"]["fetched"] == said["gustavson_B_reuse"]["lru_elements"]["64"]["elements_fetched"]
    meets = said["isect"]["gustavson_row_vs_Brows"]
    assert product["intersection_by_rows"]["skip_ahead"] == meets["skip_ahead"]
    assert main(["count", *files]) == 0
    shown = capsys.readouterr().out
    assert "A.npz" in shown and f"{said['effectual_mults']:,}" in shown


def test_one_matrix_is_described(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["count", files[0]]) == 0
    shown = capsys.readouterr().out
    assert "bitmask" in shown and "product" not in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["A.npz", "B.npz", "A.npz"], "accelsim count takes one matrix or two, not 3; name the two of a product"),
        (["nothing.mtx"], "there is no file nothing.mtx; name a .mtx or .npz file"),
        (["A.npz", "--units", "0"], "--units '0' is not a whole number from 1; write digits, as in --units 32"),
        (["A.npz", "--value-bits", "x"], "--value-bits 'x' is not a whole number from 1"),
        (["A.npz", "A.npz"], "A is 50 x 80 and B 50 x 80; the columns of A and the rows of B must be as many"),
        (["A.npz", "B.npz", "--radix", "1"], "a merger of radix 1 merges nothing; make it 2 or more"),
        (["A.npz", "--set", "shape.m=3"], "--set workload.shape.m: this command reads no workload"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], said: str, files: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(Path(files[0]).parent)
    assert main(["count", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(said) and error.count("\n") == 1
