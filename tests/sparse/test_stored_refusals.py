"""What evaluation over stored elements refuses, and what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.errors import AccelsimError, InputError
from accelsim.io.elements import elements_of
from accelsim.io.hardware import load_architecture
from accelsim.io.workload import load_workload
from tests.sparse.designs import write
from tests.sparse.evaluating import run


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("A", "does not say which file"),
        ("C=a.mtx", "has no input 'C'; known: A, B"),
        ("A=none.mtx", "there is no file none.mtx"),
        ("A=small.mtx", "the matrix is 2 x 2, and A is 64 x 64; write --set shape.m=2 --set shape.k=2"),
        ("A=broken.mtx", "broken.mtx:3:"),
    ],
)
def test_data_that_does_not_fit_is_refused_in_a_line(
    data: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    head = "%%MatrixMarket matrix coordinate pattern general\n2 2 1\n"
    Path("small.mtx").write_text(head + "1 1\n")
    Path("broken.mtx").write_text(head + "3 1\n")
    code, text = run(capsys, "evaluate", "product.yaml", "--arch", "by-rows.yaml", "--mapping", "rows.yaml", f"--data={data}")
    assert code == 2 and message in text and len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("written", "instead", "message"),
    [
        ("ranks: csr, coordinate: 32 bit, pointer: 32 bit, value: 64 bit}", "ranks: crs}", "there is no format 'crs'"),
        ("ranks: csr, coordinate: 32 bit, pointer: 32 bit, value: 64 bit}", "ranks: [compressed]}", "its format says how 1"),
        ("ranks: csr, coordinate: 32 bit, pointer: 32 bit, value: 64 bit}", "ranks: [zipped, compressed]}", "no rank is stored 'zipped'"),
        ("ranks: csr, coordinate: 32 bit, pointer: 32 bit, value: 64 bit}", "ranks: csr, pointer: 32}", "32"),
        ("32 bit, value: 64 bit}\neinsums", "32 bit, value: 16 bit}\neinsums", "a value of 'Z' is stored in 16 bits, and fp32 has 32"),
        ("  Z: {ranks", "  Y: {ranks", "no statement names tensor 'Y'"),
    ],
)
def test_formats_that_are_none_are_refused(written: str, instead: str, message: str, tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "product.yaml"
    path.write_text(path.read_text().replace(written, instead))
    with pytest.raises(AccelsimError) as error:
        load_workload(path)
    assert message in str(error.value) and "product.yaml:" in str(error.value)


@pytest.mark.parametrize(
    ("written", "instead", "message"),
    [
        ("by: leading", "by: guessing", "'by' is 'guessing'"),
        ("{by: leading, energy: unpriced}", "{by: leading}", "an intersection has no 'energy'"),
        ("radix: 64", "radix: 1", "radix"),
        ("replacement: least_recent", "replacement: newest", "'replacement' is 'newest'; write least_recent or optimal"),
        ("assign: static", "assign: free", "'assign' is 'free'"),
        ("replacement: least_recent", "fetch: later", "'fetch' is 'later'; write on_demand"),
    ],
)
def test_what_a_machine_says_about_stored_elements_is_checked(written: str, instead: str, message: str, tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "by-rows.yaml"
    path.write_text(path.read_text().replace(written, instead))
    with pytest.raises(AccelsimError) as error:
        load_architecture(path)
    assert message in str(error.value) and "by-rows.yaml:" in str(error.value)


def test_formats_are_refused_where_all_elements_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    code, text = run(capsys, "cosim", tmp_path / "product.yaml", "--arch", tmp_path / "by-rows.yaml")
    assert code == 2 and "product.yaml:5:3: product says how A is stored" in text and len(text.splitlines()) == 1


ELEMENTWISE = """
workload: elementwise
shape: {m: 8, n: 8}
type: {default: int8}
format: {A: csr}
einsums:
  - Z[m,n] = A[m,n] * B[m,n]
"""


IN_PLACE = """
mapping: in place
tree:
  - keep DRAM: [A, B, Z]
  - for m: 1
  - keep Registers: [KEPT]
  - {einsum: Z, unit: MAC}
"""


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ("{A: {fraction: 1/2}}, B, Z", "Registers keeps 1/2 of A, and parts of tiles are not counted over stored elements; keep A whole"),
        ("A = Z, B", "Registers keeps A and Z in one place, which is not counted over stored elements; keep each in a place of its own"),
    ],
)
@pytest.mark.parametrize("statistics", [False, True])
def test_parts_of_tiles_and_places_that_tensors_share_are_refused(
    kept: str, message: str, statistics: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    (tmp_path / "elementwise.yaml").write_text(ELEMENTWISE)
    path = tmp_path / "in-place.yaml"
    path.write_text(IN_PLACE.lstrip().replace("KEPT", kept))
    files = [tmp_path / "elementwise.yaml", "--arch", tmp_path / "phases.yaml", "--mapping", path]
    code, text = run(capsys, "evaluate", *files, *(["--statistics"] if statistics else []))
    assert (code, text.strip()) == (2, f"{path}:5:5: {message}")
    path.write_text(IN_PLACE.lstrip().replace("KEPT", "A, B, Z"))
    assert run(capsys, "evaluate", *files)[0] == 0


NARROW = {
    "narrow": """\
workload: narrow
shape: {m: 16, k: 16, n: 16}
type: {default: int8, Z: int32}
density: {A: 0.25, B: 0.25}
format: {A: csr, B: csr, Z: csr}
einsums:
  - Z[m,n] = A[m,k] * B[k,n]
""",
    "one": """\
machine: one
source: made up for this test
clock: 1 GHz
tree:
  memory: DRAM
  size: unlimited
  bandwidth: 16 B/cycle
  energy: 8 pJ/bit
  feeds:
    unit: MAC
    executes: {mac: 2 pJ}
""",
    "flat": """\
mapping: flat
tree:
  - keep DRAM: [A, B, Z]
  - for m: 1
  - for n: 1
  - {einsum: Z, unit: MAC}
""",
}


@pytest.mark.parametrize(
    ("tensor", "bits", "message"),
    [
        ("A", 5, "product.yaml:5:3: a coordinate of A has 5 bits, and those along k take 6; write coordinate: 6 bit"),
        ("Z", 3, "product.yaml:7:3: a coordinate of Z has 3 bits, and those along n take 6; write coordinate: 6 bit"),
        ("A", 6, ""),
    ],
)
def test_coordinates_that_do_not_tell_elements_apart_are_refused(
    tensor: str, bits: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    path = tmp_path / "product.yaml"
    written = f"  {tensor}: {{ranks: csr, coordinate: 32 bit"
    path.write_text(path.read_text().replace(written, written.replace("32", str(bits))))
    code, text = run(capsys, "evaluate", path, "--arch", tmp_path / "by-rows.yaml", "--mapping", tmp_path / "rows.yaml")
    assert (code == 2 and text.strip().endswith(message) and len(text.splitlines()) == 1) if message else code == 0


@pytest.mark.parametrize(
    ("tensor", "bits", "message"),
    [
        ("A", 3, "a coordinate of A has 3 bits, and those along k take 4; write coordinate: 4 bit"),
        ("Z", 3, "a coordinate of Z has 3 bits, and those along n take 4; write coordinate: 4 bit"),
        ("A", 4, ""),
    ],
)
@pytest.mark.parametrize("statistics", [False, True])
def test_narrow_coordinates_are_refused_with_elements_and_without(
    tensor: str, bits: int, message: str, statistics: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows of 16 places, of which whole ones come to the unit: a coordinate takes 4 bits."""
    for name, text in NARROW.items():
        (tmp_path / f"{name}.yaml").write_text(text.replace(f"{tensor}: csr", f"{tensor}: {{ranks: csr, coordinate: {bits} bit}}"))
    files = [tmp_path / "narrow.yaml", "--arch", tmp_path / "one.yaml", "--mapping", tmp_path / "flat.yaml"]
    code, text = run(capsys, "evaluate", *files, *(["--statistics"] if statistics else []))
    assert (code == 2 and text.strip().endswith(message) and len(text.splitlines()) == 1) if message else code == 0, text


DENSE_PRODUCT = """
workload: dense-product
shape: {m: 64, k: 64, n: 64}
type: {default: fp32}
einsums:
  - Z[m,n] = A[m,k] * B[k,n]
"""


@pytest.mark.parametrize("command", ["evaluate", "simulate", "map"])
def test_what_has_no_effect_where_all_elements_count_is_said(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "Without effect, as all elements count here: replacement of Cache, assign of pe."
    write(tmp_path, "dynamic")
    (tmp_path / "dense.yaml").write_text(DENSE_PRODUCT)
    for arch, said in (("by-rows", True), ("tiled", False)):
        mapping = ["--mapping", tmp_path / f"{'rows' if said else 'tiles'}.yaml"] if command != "map" else ["--time-limit", 5]
        code, text = run(capsys, command, tmp_path / "dense.yaml", "--arch", tmp_path / f"{arch}.yaml", *mapping)
        assert code == 0 and (line in text.splitlines()) == said, text
    _, text = run(capsys, "evaluate", *(f"{tmp_path}/product.yaml --arch {tmp_path}/by-rows.yaml --mapping {tmp_path}/rows.yaml".split()))
    assert "Without effect" not in text


TWO_CACHES = """
mapping: two caches
tree:
  - keep DRAM: [A, B, Z]
  - keep Cache: [A, B]
  - for m: 1
  - keep Registers: [A, B, Z]
  - {einsum: Z, unit: MAC}
"""


def test_caches_of_more_than_stored_operands_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    product = tmp_path / "product.yaml"
    for kept, without in (("[Z]", ""), ("[A, B]", "  A: {")):
        (tmp_path / "rows.yaml").write_text(TWO_CACHES.lstrip().replace("Cache: [A, B]", f"Cache: {kept}"))
        product.write_text(product.read_text().replace(without, "  # {") if without else product.read_text())
        files = [product, "--arch", tmp_path / "by-rows.yaml", "--mapping", tmp_path / "rows.yaml"]
        code, text = run(capsys, "evaluate", *files)
        said = f"Cache is a cache that keeps {'A' if without else 'Z'}, and only stored operands of Z are counted in caches"
        assert code == 2 and said in text and len(text.splitlines()) == 1


def test_counting_conventions_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    files = [tmp_path / "product.yaml", "--arch", tmp_path / "by-rows.yaml", "--mapping", tmp_path / "rows.yaml"]
    code, text = run(capsys, "evaluate", *files, "--counting", "drains=free")
    assert code == 2 and "counting conventions" in text


@pytest.mark.parametrize(
    ("file", "written", "instead", "message"),
    [
        ("by-rows", "multicast: false, ", "", "not at one turn at once cannot be sent B together; write multicast: false"),
        ("rows", "  - spatial", "  - for k: 32\n  - spatial", "spread one rank of the result along it and no other"),
        ("rows", "[A, Z]", "[A]", "parts of Z that turns along pe make are merged outside its copies; keep Z inside"),
    ],
)
def test_what_cannot_follow_the_copy_that_is_free_first_is_refused(
    file: str, written: str, instead: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "dynamic")
    path = tmp_path / f"{file}.yaml"
    path.write_text(path.read_text().replace(written, instead))
    files = [tmp_path / "product.yaml", "--arch", tmp_path / "by-rows.yaml", "--mapping", tmp_path / "rows.yaml"]
    code, text = run(capsys, "evaluate", *files, "--set", "density.A=0.1")
    assert code == 2 and message in text and len(text.splitlines()) == 1


def test_a_dense_tile_that_is_too_large_is_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    (tmp_path / "product.yaml").write_text((tmp_path / "product.yaml").read_text().replace("  B: {", "  # {"))
    files = [tmp_path / "product.yaml", "--arch", tmp_path / "tiled.yaml", "--mapping", tmp_path / "tiles.yaml"]
    code, text = run(capsys, "evaluate", *files, "--set", "density.A=0.1", "--set", "arch.Shared.size=1 KiB")
    assert code == 0 and "Shared, B" in text and "bring more than it holds" in text


def test_matrix_of_two_sizes_for_one_rank_is_asked_to_be_square(tmp_path: Path) -> None:
    (tmp_path / "trace.yaml").write_text("workload: trace\nshape: {k: 4}\neinsums:\n  - Z[k] = A[k,k]\n")
    (tmp_path / "a.mtx").write_text("%%MatrixMarket matrix coordinate pattern general\n2 3 1\n1 1\n")
    cascade = load_workload(tmp_path / "trace.yaml", {})
    with pytest.raises(InputError, match=r"is 2 x 3, and A is 4 x 4; give a square matrix, as both indices of A are one rank$"):
        elements_of(cascade, [f"A={tmp_path / 'a.mtx'}"], 0)
