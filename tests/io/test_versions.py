"""Versions of file formats: newer files are refused in one line, older ones rewritten with their comments as they were."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from accelsim import __version__
from accelsim.cli import main
from accelsim.errors import InputError
from accelsim.io import versions
from accelsim.io.catalogue import KINDS, shipped
from accelsim.io.migrations import MIGRATIONS, Edit, edited, migrate, renamed
from accelsim.io.source import Item, load, parse, plain
from accelsim.io.versions import NEWEST
from tests.share import share

OLD = """\
# A machine as version 1 wrote it.
schema: accelsim/machine/1   # says so
machine: small
frequency: 1 GHz             # 'clock' since version 2
tree:
  memory: DRAM
  "capacity": unlimited      # 'size' since version 3
  energy: unpriced
"""
NEW = """\
# A machine as version 1 wrote it.
schema: accelsim/machine/3   # says so
machine: small
clock: 1 GHz             # 'clock' since version 2
tree:
  memory: DRAM
  "size": unlimited      # 'size' since version 3
  energy: unpriced
"""


def to_second(document: Item) -> list[Edit]:
    return renamed(document, "frequency", "clock")


def to_third(document: Item) -> list[Edit]:
    return renamed(document.value["tree"], "capacity", "size")


STEPS = {("machine", 1): to_second, ("machine", 2): to_third}
THIRD = {**NEWEST, "machine": 3}


def test_old_file_goes_through_every_step_and_keeps_its_comments(tmp_path: Path) -> None:
    file = tmp_path / "old.yaml"
    file.write_text(OLD, encoding="utf-8")
    found = migrate(file, STEPS, THIRD)
    assert (found.kind, found.before, found.after, found.text) == ("machine", 1, 3, NEW)
    file.write_text(found.text, encoding="utf-8")
    assert migrate(file, STEPS, THIRD).text == NEW


def test_old_file_is_not_read_but_told_how_to_mend_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(versions.NEWEST, "machine", 3)
    with pytest.raises(InputError) as caught:
        parse(OLD, "old.yaml")
    mend = "`accelsim migrate old.yaml -o NEW.yaml` rewrites it"
    assert str(caught.value) == f"old.yaml:2:9: this is version 1 of a machine, and 3 is read; {mend}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "schema: accelsim/workload/7\nworkload: w\neinsums: ['Z[m] = A[m]']\n",
            f"FILE:1:9: this is version 7 of a workload, and accelsim {__version__} reads up to 1; "
            "read it with a newer accelsim: pip install --upgrade accelsim",
        ),
        (
            "schema: accelsim/worklod/1\nworkload: w\n",
            "FILE:1:9: there is no format 'accelsim/worklod/1'; did you mean 'accelsim/workload/1'?",
        ),
        (
            "schema: accelsim/machine/1\nworkload: w\n",
            "FILE:1:9: the file says that it is a machine, and has no 'machine'; write 'machine: …' beside it, or mend 'schema'",
        ),
        (
            "schema: accelsim/workload/0\nworkload: w\n",
            "FILE:1:9: there is no version 0 of a workload; the first is accelsim/workload/1",
        ),
        (
            "schema: 1\nworkload: w\n",
            "FILE:1:1: a workload has no 'schema'; known: about, constants, density, einsums, format, layers, phases, serving, …",
        ),
    ],
)
def test_versions_that_are_not_read_are_refused_in_one_line(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text, encoding="utf-8")
    assert main(["check", str(file)]) == 2
    assert capsys.readouterr().err == says.replace("FILE", str(file)) + "\n"


FILES = [(kind.key, path) for kind in KINDS for path in shipped(kind).values()]


def test_shipped_file_that_says_no_version_gains_one_line_and_means_the_same(tmp_path: Path) -> None:
    some = random.Random(4).sample(FILES, share(len(FILES), 40, 15))
    for kind, path in some:
        text = path.read_text(encoding="utf-8")
        found = migrate(path)
        line = f"schema: accelsim/{kind}/{NEWEST[kind]}\n"
        assert (found.kind, found.before) == (kind, None)
        assert found.text.replace(line, "", 1) == text and found.text.count(line) == 1
        made = tmp_path / path.name
        made.write_text(found.text, encoding="utf-8")
        assert plain(load(made)) == plain(load(path))
        assert migrate(made).text == found.text


def test_flow_document_gains_it_inside_its_braces(tmp_path: Path) -> None:
    file = tmp_path / "flow.yaml"
    file.write_text("# one\n{workload: w, einsums: ['Z[m] = A[m]']}\n", encoding="utf-8")
    assert migrate(file).text == "# one\n{schema: accelsim/workload/1, workload: w, einsums: ['Z[m] = A[m]']}\n"


def test_mapping_with_holes_is_rewritten_too(tmp_path: Path) -> None:
    file = tmp_path / "holes.yaml"
    file.write_text("mapping: open\ntree:\n  - for m: ?\n  - ?\n", encoding="utf-8")
    assert migrate(file).text == "schema: accelsim/mapping/1\nmapping: open\ntree:\n  - for m: ?\n  - ?\n"


def test_edit_of_what_is_not_there_is_refused() -> None:
    place = parse("a: 1\n", "f.yaml").key_places
    assert place is not None
    with pytest.raises(InputError, match="'b' is written in a way that cannot be rewritten"):
        edited("a: 1\n", [Edit(place["a"], "b", "c")])


def test_every_older_version_has_a_step() -> None:
    assert {(kind, version) for kind, newest in NEWEST.items() for version in range(1, newest)} == set(MIGRATIONS)


def test_command_writes_where_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("w.yaml").write_text("workload: w  # mine\neinsums: ['Z[m] = A[m]']\nshape: {m: 4}\n", encoding="utf-8")
    assert main(["migrate", "w.yaml"]) == 0
    assert capsys.readouterr().out.startswith("schema: accelsim/workload/1\nworkload: w  # mine\n")
    assert main(["migrate", "w.yaml", "-o", "w.yaml"]) == 0
    assert capsys.readouterr().out == "w.yaml: the workload said no version; w.yaml is version 1\n"
    assert main(["check", "w.yaml", "-q"]) == 0
    Path("e.json").write_text('{"schema": "accelsim/evaluation/1"}', encoding="utf-8")
    assert main(["migrate", "e.json"]) == 2
    assert capsys.readouterr().err == "e.json is an evaluation, not a description; see it with `accelsim report e.json`\n"
