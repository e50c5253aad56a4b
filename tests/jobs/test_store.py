"""Results on disk: what comes back is what was put or nothing, whatever happens to writers and files; keys follow content alone."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import accelsim
from accelsim.errors import InputError
from accelsim.hardware.architecture import Architecture
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_mapping
from accelsim.io.workload import load_workload
from accelsim.jobs.store import Store, content_key
from accelsim.mapping.tree import For, Spatial
from accelsim.model.options import CHOICES, Counting
from accelsim.workload.cascade import Cascade

ROOT = Path(accelsim.__file__).parent.parent
KEY = content_key("an entry")
OTHER = content_key("another entry")
DOCUMENT = {"cycles": 12, "seconds": 0.1, "rest": [None, True, "µ\ud800", 2**70, -0.0, 1e-300, {}], "": {"b": 1, "a": []}}

# Puts entries in a tight loop; any one is whole if `body` repeats `turn`. It says so once the first is there.
WRITER = """
import sys
from accelsim.jobs.store import Store, content_key
store, name, turns = Store(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for turn in range(turns):
    store.put(content_key(turn % 4), {"writer": name, "turn": turn, "body": [turn] * 5000})
    if turn == 0:
        print("started", flush=True)
"""


def python(script: str, *arguments: object, cwd: Path = ROOT, **environment: str) -> subprocess.Popen[str]:
    """A new process that runs a script on the package that lies in `cwd`."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    setting = os.environ | {"PYTHONPATH": str(cwd), "PYTHONDONTWRITEBYTECODE": "1"} | environment
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=cwd, env=setting)


def printed(script: str, *arguments: object, cwd: Path = ROOT, **environment: str) -> str:
    """What a script prints in a new process that ends well."""
    process = python(script, *arguments, cwd=cwd, **environment)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return output.strip()


def whole(document: dict[str, Any] | None) -> bool:
    """Whether a document is one that WRITER put."""
    return document is not None and document["body"] == [document["turn"]] * 5000


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def cascade() -> Cascade:
    found = load_workload(ROOT / "workloads/attention.yaml")
    assert isinstance(found, Cascade)
    return found


@pytest.fixture(scope="module")
def machine() -> Architecture:
    return load_architecture(ROOT / "hw/arch/spatial.yaml")


# Entries


def test_document_comes_back_as_it_was_put(tmp_path: Path) -> None:
    Store(tmp_path / "new" / "results").put(KEY, DOCUMENT)
    found = Store(tmp_path / "new" / "results").get(KEY)
    assert found == DOCUMENT
    assert json.dumps(found) == json.dumps(DOCUMENT)  # order of keys, signs of zeros and types of numbers too
    assert Store(tmp_path / "new" / "results").get(OTHER) is None


def test_last_document_put_under_a_key_is_the_one_that_comes_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(KEY, {"cycles": 1})
    store.put(KEY, {"cycles": 2})
    assert store.get(KEY) == {"cycles": 2}
    assert list(store.entries()) == [KEY]


def test_entries_are_listed_by_key_with_the_bytes_of_their_files(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.entries() == {}
    for key in (KEY, OTHER):
        store.put(key, DOCUMENT)
    (tmp_path / "notes.json").write_text("{}")
    assert list(store.entries()) == sorted((KEY, OTHER))
    assert store.entries()[KEY] == len((tmp_path / f"{KEY}.json").read_bytes())


@pytest.mark.parametrize("document", [{"a": (1, 2)}, {1: 2}, {"a": float("nan")}, {"a": float("-inf")}])
def test_document_that_json_would_change_is_refused(tmp_path: Path, document: dict[Any, Any]) -> None:
    with pytest.raises(ValueError):
        Store(tmp_path).put(KEY, document)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["", "../escape", KEY + "0", KEY.upper() + "G", KEY + "\n"])
def test_key_of_another_kind_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="is no key of content_key"):
        Store(tmp_path).get(key)
    with pytest.raises(ValueError, match="is no key of content_key"):
        Store(tmp_path).put(key, {})


# Damage


def test_damage_at_any_byte_reads_as_absent_and_the_next_put_mends_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(KEY, {"cycles": 12, "of": [True, None, 0.5, "x"]})
    path = only_file(tmp_path)
    data = path.read_bytes()
    for at, byte in enumerate(data):
        others = {*(byte ^ 1 << bit for bit in range(8)), *b' \t\n0"\0'} - {byte}
        damaged = [data[:at] + bytes((other,)) + data[at + 1 :] for other in others]
        for text in (*damaged, data[:at] + data[at + 1 :], data[: at + 1] + data[at:], data[:at]):
            path.unlink()  # a new file is written twenty times faster than one that is cut and filled again
            path.write_bytes(text)
            assert store.get(KEY) is None, (at, text)
    assert path.read_bytes() == data[:-1]  # reading removes nothing
    store.put(KEY, {"cycles": 13})
    assert store.get(KEY) == {"cycles": 13}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"7",
        b'{"document": 7}',
        b'{"document": {"cycles": 12}}',
        b'{"document": {"cycles": 1e999}}',
        b"[" * 200_000,
        b'{"document":' * 200_000,
        b"9" * 5000,
        b"\xff\xfe\x00",
        b"\x1f\x8b" + bytes(range(256)),
    ],
)
def test_foreign_file_reads_as_absent_and_is_replaced(tmp_path: Path, data: bytes) -> None:
    store = Store(tmp_path)
    path = tmp_path / f"{KEY}.json"
    path.write_bytes(data)
    assert store.get(KEY) is None
    assert path.read_bytes() == data
    store.put(KEY, DOCUMENT)
    assert store.get(KEY) == DOCUMENT


def test_whole_entry_under_the_name_of_another_reads_as_absent(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(KEY, DOCUMENT)
    shutil.copy(tmp_path / f"{KEY}.json", tmp_path / f"{OTHER}.json")
    assert store.get(OTHER) is None


def test_folder_or_pipe_in_place_of_an_entry_reads_as_absent(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tmp_path / f"{KEY}.json").mkdir()
    os.mkfifo(tmp_path / f"{OTHER}.json")
    assert store.get(KEY) is None
    assert store.get(OTHER) is None
    with pytest.raises(InputError, match="cannot write: Is a directory"):
        store.put(KEY, DOCUMENT)
    store.put(OTHER, DOCUMENT)
    assert store.get(OTHER) == DOCUMENT


# Several writers, killed writers


def test_writers_at_once_leave_whole_entries_and_readers_see_no_other(tmp_path: Path) -> None:
    writers = [python(WRITER, tmp_path, name, 60) for name in "abc"]
    store = Store(tmp_path)
    seen = 0
    while any(writer.poll() is None for writer in writers):
        for key in store.entries():
            assert whole(store.get(key))
            seen += 1
    assert [writer.communicate()[0] for writer in writers] == ["started\n"] * 3
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert seen > 0
    assert list(store.entries()) == sorted(map(content_key, range(4)))
    assert all(whole(store.get(key)) for key in store.entries())
    assert len(list(tmp_path.iterdir())) == 4  # nothing temporary is left


def test_writer_killed_at_any_moment_leaves_whole_entries(tmp_path: Path) -> None:
    rng = random.Random(7)
    for turn in range(12):
        writer = python(WRITER, tmp_path, turn, 10**9)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "started\n"
        time.sleep(rng.uniform(0, 0.03))
        writer.kill()
        writer.communicate()
        assert writer.returncode == -signal.SIGKILL
        store = Store(tmp_path)
        assert store.entries()
        assert all(whole(store.get(key)) for key in store.entries())


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_writer_killed_before_its_file_is_renamed_leaves_the_earlier_entry(tmp_path: Path, call: str) -> None:
    store = Store(tmp_path)
    store.put(content_key(0), {"turn": 9, "body": [9] * 5000})
    writer = python(f"import os, signal\nos.{call} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n{WRITER}", tmp_path, "a", 1)
    writer.communicate()
    assert writer.returncode == -signal.SIGKILL
    document = store.get(content_key(0))
    assert whole(document) and document is not None and document["turn"] == 9
    assert len(list(tmp_path.glob("*.tmp"))) == 1


def test_what_killed_writers_left_is_removed_after_an_hour_and_nothing_else(tmp_path: Path) -> None:
    old, fresh, foreign = (tmp_path / name for name in (f"{KEY}.{'0' * 16}.tmp", f"{KEY}.{'1' * 16}.tmp", "notes.tmp"))
    for path, age in ((old, 3660), (fresh, 3540), (foreign, 10**6)):
        path.write_text("half an entry")
        os.utime(path, (time.time() - age,) * 2)
    Store(tmp_path)
    assert set(tmp_path.iterdir()) == {fresh, foreign}


# What the system refuses


def test_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as refusal:
        Store(tmp_path / "file" / "results")
    assert str(refusal.value) == f"{tmp_path}/file/results: cannot keep results: Not a directory; choose a folder that can be written"


def test_folder_that_is_there_and_takes_no_file_is_refused() -> None:
    with pytest.raises(InputError, match=r"^/proc: cannot keep results: .*; choose a folder that can be written$"):
        Store("/proc")


def test_full_disk_is_refused_in_one_line_and_leaves_the_earlier_entry(tmp_path: Path) -> None:
    script = """
import resource, sys
from accelsim.errors import InputError
from accelsim.jobs.store import Store
store, key = Store(sys.argv[1]), sys.argv[2]
store.put(key, {"cycles": 1})
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # the system writes the first 1000 bytes and refuses the others
try:
    store.put(key, {"cycles": [2] * 1000})
except InputError as error:
    print(error)
"""
    refusal = printed(script, tmp_path, KEY)
    assert refusal == f"{tmp_path}/{KEY}.json: cannot write: File too large; free space there or choose another folder"
    assert Store(tmp_path).get(KEY) == {"cycles": 1}
    assert len(list(tmp_path.iterdir())) == 1


def test_folder_that_is_gone_is_refused_on_put_and_reads_as_absent(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    (tmp_path / "results").rmdir()
    assert store.get(KEY) is None
    with pytest.raises(InputError) as refusal:
        store.put(KEY, DOCUMENT)
    assert str(refusal.value) == (
        f"{tmp_path}/results/{KEY}.json: cannot write: No such file or directory; free space there or choose another folder"
    )
    with pytest.raises(InputError) as refusal:
        store.entries()
    assert str(refusal.value) == f"{tmp_path}/results: cannot read: No such file or directory; check the path"


# Keys


def variants(value: Any) -> Iterator[Any]:
    """Values that differ from one in a single leaf, item or name."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            if field.compare:
                for other in variants(getattr(value, field.name)):
                    yield dataclasses.replace(value, **{field.name: other})
    elif isinstance(value, tuple):
        yield (*value, 0)
        for at, item in enumerate(value):
            yield (*value[:at], *value[at + 1 :])
            yield from ((*value[:at], other, *value[at + 1 :]) for other in variants(item))
    elif isinstance(value, dict):
        yield value | {"another": 0}
        for name, item in value.items():
            yield {key: kept for key, kept in value.items() if key != name}
            yield {key + "'" if key == name else key: kept for key, kept in value.items()}
            yield from (value | {name: other} for other in variants(item))
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, str):
        yield value + "'"
    elif value is None:
        yield 0
    else:
        yield 0 if value else 1
        if isinstance(value, float):
            yield math.nextafter(value, 0.0 if value else 1.0)
        else:
            yield value + (Fraction(1, 3) if isinstance(value, Fraction) else 1)


def test_key_is_the_same_in_every_process_and_for_every_hash_seed(tmp_path: Path) -> None:
    script = """
from pathlib import Path
from accelsim.io.hardware import load_architecture
from accelsim.io.workload import load_workload
from accelsim.jobs.store import content_key
names = frozenset(["a", "b", "c", ("d", 1), None])
print(content_key(load_workload(Path("workloads/attention.yaml")), load_architecture("hw/arch/spatial.yaml"), names))
"""
    assert len({printed(script, PYTHONHASHSEED=seed) for seed in ("0", "1", "77", "random")}) == 1


def test_key_changes_with_any_field_of_a_cascade_a_machine_or_a_mapping(cascade: Cascade, machine: Architecture) -> None:
    small = load_workload(ROOT / "workloads/softmax.yaml")
    mapping = load_mapping(ROOT / "mappings/attention-staged.yaml", dict(cascade.extents))
    for noun in (small, machine, mapping):
        key = content_key(noun)
        count = 0
        for variant in variants(noun):
            assert content_key(variant) != key, variant
            count += 1
        assert count > 200


def test_key_changes_with_every_counting_option() -> None:
    choices = [Counting(**{option: value}) for option, values in CHOICES.items() for value in values[1:]]
    assert len({content_key(counting) for counting in (Counting(), *choices)}) == 1 + len(choices)


def test_key_does_not_change_with_the_place_of_a_file(tmp_path: Path, cascade: Cascade, machine: Architecture) -> None:
    for name in ("workloads/attention.yaml", "hw/arch/spatial.yaml"):
        (tmp_path / Path(name).name).write_text("# a copy\n\n" + (ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    copied = load_workload(tmp_path / "attention.yaml")
    moved = load_architecture(tmp_path / "spatial.yaml")
    assert isinstance(copied, Cascade)
    assert copied.einsums[0].place != cascade.einsums[0].place
    assert moved.root.place != machine.root.place
    assert content_key(copied, moved) == content_key(cascade, machine)


@pytest.mark.parametrize("file", ["mapper/best.py", "__init__.py", "model/new.py"])
def test_key_changes_with_the_source_text(tmp_path: Path, file: str) -> None:
    shutil.copytree(ROOT / "accelsim", tmp_path / "accelsim", ignore=shutil.ignore_patterns("__pycache__"))
    script = "from accelsim.jobs.store import content_key; print(content_key('an entry'))"
    assert printed(script, cwd=tmp_path) == KEY
    with (tmp_path / "accelsim" / file).open("a") as stream:
        stream.write("\n")
    assert printed(script, cwd=tmp_path) != KEY


def test_values_that_look_alike_have_different_keys() -> None:
    alike = [
        *[(1,), (True,), (1.0,), ("1",), (Fraction(1),), (2**5000,), (None,), ("None",), (0.0,), (-0.0,), (float("nan"),), (float("inf"),)],
        *[(), ((),), ({},), (frozenset(),), ("",), ("ab", "c"), ("a", "bc"), ("a", ("b",)), (("a",), "b"), (("a", "b"),), ("a", "b")],
        *[({"a": 1},), (("a", 1),), ((("a", 1),),), (frozenset({("a", 1)}),), ({"a": {"b": 1}},), ({"a": {}, "b": 1},)],
        *[(dataclasses.make_dataclass("Pair", [field, "b"], frozen=True)(1, 2),) for field in ("a", "c")],
        *[(For("m", 4),), (Spatial("m", "m", 4),), (("rank", "m", "tile", 4),), ({"rank": "m", "tile": 4},)],
    ]
    assert len({content_key(*parts) for parts in alike}) == len(alike)


def test_order_of_a_dict_counts_and_that_of_a_frozenset_does_not(cascade: Cascade) -> None:
    turned = dataclasses.replace(cascade, extents=dict(reversed(cascade.extents.items())))
    assert turned == cascade
    assert content_key(turned) != content_key(cascade)
    options = {"seed": 1, "objective": "latency"}
    assert content_key(frozenset(options.items())) == content_key(frozenset(reversed(options.items())))


@dataclasses.dataclass
class Changeable:
    value: int = 1


class Text(str):
    pass


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ([1], "builtins.list"),
        ({1}, "builtins.set"),
        (b"1", "builtins.bytes"),
        (1j, "builtins.complex"),
        (object(), "builtins.object"),
        (len, "builtins.builtin_function_or_method"),
        (For, "builtins.type"),
        (Path("a"), f"{type(Path()).__module__}.{type(Path()).__qualname__}"),
        (Changeable(), f"{__name__}.Changeable"),
        (Text("a"), f"{__name__}.Text"),
    ],
)
def test_part_of_an_unknown_kind_is_refused_wherever_it_stands(part: object, name: str) -> None:
    for parts in ((part,), ((1, part),), ({"a": part},), (For("m", part),)):  # type: ignore[arg-type]
        with pytest.raises(TypeError) as refusal:
            content_key(*parts)
        assert str(refusal.value) == f"a {name} has no content key"
