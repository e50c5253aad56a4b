"""The nouns of a sweep's points, from files: each is read once, and made once for all points that set the same in it."""

from __future__ import annotations

import shlex
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

from accelsim.errors import IllegalMapping, InputError
from accelsim.explore.points import Case, Point, one_sentence
from accelsim.explore.problems import shareable, timeless
from accelsim.hardware.architecture import Architecture
from accelsim.io.catalogue import CONSTRAINTS, MACHINE, MAPPING, WORKLOAD, Kind, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.layers import load_layers
from accelsim.io.mapping import dump_mapping, load_fitting
from accelsim.io.overrides import Overrides, overrides
from accelsim.io.requests import SECONDS, SERVED, asked, request
from accelsim.io.serving import load_served, refuse_large
from accelsim.io.workload import load_workload
from accelsim.jobs.store import content_key
from accelsim.mapper.best import Request
from accelsim.mapping.tree import Mapping as LoopTree
from accelsim.model.pricing import Prices
from accelsim.workload.cascade import Cascade, Model

FILES: dict[str, Kind] = {"workload": WORKLOAD, "arch": MACHINE, "mapping": MAPPING, "constraints": CONSTRAINTS}
ASKED = ("objective", "schedule", "tiles", "gap", "time_limit", "seed", "counting")  # of a search
CHOICES = (*FILES, *ASKED, *SERVED)  # options of `accelsim map`; all other names are paths of --set
MOST_NOUNS = 512  # of a kind that are kept
MOST_DIGESTS = 1 << 16
Setting = tuple[str, str]
Texts = tuple[tuple[str, str | None], ...]
T = TypeVar("T")


class Shelf(OrderedDict[Any, Any]):
    """What was made last, by what it was made from; an error that it raised is kept too."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def take(self, key: Any, make: Callable[[], T]) -> T:
        """What is there, or what is made now."""
        if key in self:
            self.move_to_end(key)
        else:
            try:
                self[key] = make()
            except (InputError, IllegalMapping) as error:
                self[key] = _Refusal(error)
            if len(self) > self.most:
                self.popitem(last=False)
        found: Any = self[key]
        if isinstance(found, _Refusal):
            raise found.error
        return found  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class _Refusal:
    error: InputError | IllegalMapping


class FileCases:
    """Cases of a sweep file. `names`: of a point's values; `fixed`: texts of names that are the same at all points.

    Names are those of CHOICES and paths of `--set`; an InputError for others. Files are named as on the command line.
    """

    def __init__(self, names: tuple[str, ...], fixed: Mapping[str, str]) -> None:
        self.names, self.fixed = names, dict(fixed)
        self._served = tuple(name for name in SERVED if name in self.fixed or name in names)
        self._choices = {name: names.index(name) for name in names if name in CHOICES}
        paths = [name for name in (*self.fixed, *names) if name not in CHOICES]
        places = {name: at for at, name in enumerate(names)}
        self._parts = {
            part: [(path, places.get(name, -1), self.fixed.get(name, "")) for path, name in inside]
            for part, inside in _sorted(paths).items()
        }
        self._clear()

    def _clear(self) -> None:
        self._nouns = {name: Shelf(MOST_NOUNS) for name in (*FILES, "request", "file")}
        self._digests = {name: Shelf(MOST_DIGESTS) for name in (*FILES, "request", "area", "timeless")}

    def __reduce__(self) -> Any:
        return FileCases, (self.names, self.fixed)

    def choice(self, point: Point, name: str) -> str | None:
        """The text of an option, None where the sweep does not say."""
        at = self._choices.get(name)
        return self.fixed.get(name) if at is None else point.values[at]

    def settings(self, point: Point, part: str) -> tuple[Setting, ...]:
        """What a point sets inside its workload, its machine (`arch`) or its mapping."""
        values = point.values
        return tuple([(path, values[at] if at >= 0 else text) for path, at, text in self._parts[part]])

    # --- nouns ---------------------------------------------------------------------------------------------------------------------------

    def _workload_key(self, point: Point) -> tuple[str, tuple[Setting, ...], Texts]:
        return str(self.choice(point, "workload")), self.settings(point, "workload"), self._texts(point, self._served)

    def _texts(self, point: Point, names: tuple[str, ...]) -> Texts:
        return tuple([(name, self.choice(point, name)) for name in names])

    def _machine_key(self, point: Point) -> tuple[str, tuple[Setting, ...]]:
        return str(self.choice(point, "arch")), self.settings(point, "arch")

    def _file(self, name: str, kind: str) -> Path:
        """Where a file is; looked for once."""
        return self._nouns["file"].take((kind, name), lambda: resolve(name, FILES[kind]))

    def _workload(self, point: Point) -> Cascade | Model:
        name, settings, texts = key = self._workload_key(point)

        def make() -> Cascade | Model:
            wanted, file = asked(dict(texts)), self._file(name, "workload")
            return _dense(load_workload(file, dict(settings)) if wanted is None else load_served(file, dict(settings), wanted).model)

        return self._nouns["workload"].take(key, make)

    def _machine(self, point: Point) -> Architecture:
        name, settings = key = self._machine_key(point)
        return self._nouns["arch"].take(key, lambda: load_architecture(self._file(name, "arch"), dict(settings)))

    def _request(self, point: Point) -> Request:
        texts = self._asked_texts(point)
        wanted: Request = self._nouns["request"].take(texts, lambda: request(dict(texts)))
        name = self.choice(point, "constraints")
        if name is None:
            return wanted
        key = (name, self._workload_key(point), self._machine_key(point), texts)
        return self._nouns["constraints"].take(key, lambda: self._constrained(name, wanted, self._workload(point), self._machine(point)))

    def _asked_texts(self, point: Point) -> Texts:
        """The options of a search; that of a served model has a limit unless one is stated."""
        usual = {"time_limit": SECONDS} if self._served else {}
        return tuple([(name, usual.get(name) if text is None else text) for name, text in self._texts(point, ASKED)])

    @staticmethod
    def _constrained(name: str, wanted: Request, workload: Cascade | Model, machine: Architecture) -> Request:
        from accelsim.io.constraints import load_constraints
        from accelsim.mapper.splits import refuse_open

        if isinstance(workload, Model):
            raise InputError(
                f"constraints: {workload.name} is a model, and its layers are mapped one by one", "name a workload of one cascade"
            )
        refuse_open(workload, "--constraints")
        raised = wanted.counting.refill == "every_visit"
        return replace(wanted, constraints=load_constraints(resolve(name, CONSTRAINTS), workload, machine, raised))

    def _mapped(self, point: Point) -> tuple[tuple[LoopTree, ...], Cascade | Model] | None:
        name = self.choice(point, "mapping")
        if name is None:
            return None
        settings = self.settings(point, "mapping")

        def make() -> tuple[tuple[LoopTree, ...], Cascade | Model]:
            workload = self._workload(point)
            if isinstance(workload, Model):
                return load_layers(workload, [name], dict(settings)), workload
            mapping, sized = load_fitting(self._file(name, "mapping"), workload, dict(settings))
            return (mapping,), sized

        return self._nouns["mapping"].take((name, settings, self._workload_key(point)), make)

    def case(self, point: Point) -> Case:
        """The nouns of a point; InputError or IllegalMapping where its values do not go together."""
        mapped = self._mapped(point)
        if mapped is None:
            workload, machine = self._workload(point), self._machine(point)
            if self._served and isinstance(workload, Model):
                refuse_large(workload, machine)
            return Case(workload, machine, self._request(point))
        return Case(mapped[1], self._machine(point), self._request(point), mapped[0])

    def case_with(self, point: Point, name: str, text: str) -> Case:
        """The nouns of a point with one more setting."""
        fixed = {**self.fixed, **dict(zip(self.names, point.values, strict=True)), name: text}
        return FileCases((), fixed).case(Point(point.number, ()))

    # --- what rows are known by -----------------------------------------------------------------------------------------------------------

    def key(self, point: Point) -> bytes:
        """A digest of a point's nouns, however they were written; of what is wrong where they cannot be made."""
        try:
            parts = [self._digest("workload", self._workload_key(point), lambda: self._workload(point))]
            parts.append(self._digest("arch", self._machine_key(point), lambda: self._machine(point)))
            parts.append(self._asked_digest(point))
        except (InputError, IllegalMapping) as error:
            parts = [type(error).__name__, one_sentence(error)]
        return blake2b("\n".join(parts).encode(), digest_size=16).digest()

    def _digest(self, kind: str, key: Any, make: Callable[[], Any]) -> str:
        return self._digests[kind].take(key, lambda: content_key(make()))

    def _asked_digest(self, point: Point) -> str:
        texts = self._asked_texts(point)
        mapping, constraints = self.choice(point, "mapping"), self.choice(point, "constraints")
        beside = None if mapping is None else (mapping, self.settings(point, "mapping"), self._workload_key(point))
        ruled = None if constraints is None else (constraints, self._workload_key(point), self._machine_key(point))

        def make() -> str:
            wanted, mapped = self._request(point), self._mapped(point)
            words = (wanted.objective.name, wanted.seed, wanted.counting, wanted.schedules, wanted.tiles, wanted.gap, wanted.constraints)
            if mapped is not None:
                return content_key("evaluate", wanted.counting, mapped[0])
            return content_key("served" if self._served else "search", words, wanted.time_limit)

        return self._digests["request"].take((texts, beside, ruled), make)

    def problem(self, point: Point) -> str | None:
        """Equal for points that one search answers; None where there is none, or where it answers nothing else."""
        if self.choice(point, "mapping") is not None:
            return None
        try:
            bare = self._digests["timeless"].take(self._machine_key(point), lambda: _timeless_digest(self._machine(point)))
            if bare is None or not shareable(self._request(point)):
                return None
            workload = self._digest("workload", self._workload_key(point), lambda: self._workload(point))
            return f"{workload} {bare} {self._asked_digest(point)}"
        except (InputError, IllegalMapping):
            return None

    def area_um2(self, point: Point) -> float | None:
        """The area of a point's machine; None where no node states one, and where there is no such machine."""
        try:
            found: list[float | None] = self._digests["area"].take(
                self._machine_key(point), lambda: [Prices(self._machine(point), 1).area_um2]
            )
        except (InputError, IllegalMapping):
            return None
        return found[0]

    def text(self, mapping: LoopTree) -> str:
        """A mapping as `-o` writes it."""
        return dump_mapping(mapping)

    def command(self, point: Point) -> str:
        """The command that finds a point's row again."""
        mapping = self.choice(point, "mapping")
        words = ["accelsim", "map" if mapping is None else "evaluate", str(self.choice(point, "workload"))]
        words += ["--arch", str(self.choice(point, "arch"))]
        for name in ("mapping", "constraints", *ASKED, *SERVED) if mapping is None else ("mapping", "counting"):
            text = self.choice(point, name)
            if text is not None:
                words += [f"--{name.replace('_', '-')}", text]
        for part, prefix in (("workload", ""), ("arch", "arch."), ("mapping", "mapping.")):
            for path, text in self.settings(point, part):
                words += ["--set", f"{prefix}{path}={text}"]
        return shlex.join(words)


def _sorted(names: list[str]) -> dict[str, list[tuple[str, str]]]:
    """By the file that they are set in: paths inside it, and their whole names."""
    found: Overrides = overrides([f"{name}=0" for name in names])
    inside = {"workload": found.workload, "arch": found.arch, "mapping": found.mapping}
    whole = {(part, name.removeprefix(f"{part}.")): name for part in inside for name in names if name.startswith(f"{part}.")}
    return {part: [(path, whole.get((part, path), path)) for path in paths] for part, paths in inside.items()}


def _dense(workload: Cascade | Model) -> Cascade | Model:
    for cascade in [layer.cascade for layer in workload.layers] if isinstance(workload, Model) else [workload]:
        for name, tensor in cascade.tensors.items():
            if tensor.storage is not None:
                what = f"{cascade.name} says how {name} is stored, and a sweep counts all elements"
                raise InputError(what, "leave 'format' out")
    return workload


def _timeless_digest(machine: Architecture) -> str | None:
    bare = timeless(machine)
    return None if bare is None else content_key(bare)


def file_of(text: str, kind: Kind, folder: Path) -> str:
    """The name of a file as a command would have it: one beside the sweep, else as it was written; InputError for none."""
    beside = folder / text
    if text and not Path(text).is_file() and beside.is_file():
        return str(beside)
    resolve(text, kind)
    return text
