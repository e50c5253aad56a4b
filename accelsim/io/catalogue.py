"""Names of workloads, machines, mappings, technologies, DRAMs and rates: a path first, then what accelsim ships, else the nearest name."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import accelsim
from accelsim.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from accelsim.io.source import Item


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: what a person calls it, the command's word for many of them, its folder and the key that names it inside."""

    noun: str
    plural: str
    folder: str
    key: str


WORKLOAD = Kind("workload", "workloads", "workloads", "workload")
MACHINE = Kind("machine", "archs", "hw/arch", "machine")
MAPPING = Kind("mapping", "mappings", "mappings", "mapping")
TECHNOLOGY = Kind("technology", "technologies", "hw/tech", "technology")
DRAM = Kind("DRAM", "drams", "hw/dram", "dram")
CAMPAIGN = Kind("campaign", "campaigns", "campaigns", "campaign")
RATES = Kind("table of rates", "rates", "hw/rates", "rates")
SWEEP = Kind("sweep", "sweeps", "sweeps", "sweep")
EVIDENCE = Kind("file of evidence", "evidence", "evidence", "evidence")
# By the key at the top: files of evidence, sweeps and campaigns have keys of other kinds too, so they come first.
KINDS = (EVIDENCE, SWEEP, CAMPAIGN, WORKLOAD, MACHINE, MAPPING, TECHNOLOGY, DRAM, RATES)
CONSTRAINTS = Kind("file of constraints", "constraints", "", "constraints")  # none are shipped


def root() -> Path:
    """The folder that holds `workloads/`, `hw/` and `mappings/`: inside an installed wheel, else the checkout."""
    package = Path(accelsim.__file__).resolve().parent
    installed = package / "catalogue"
    return installed if installed.is_dir() else package.parent


def shipped(kind: Kind) -> dict[str, Path]:
    """Files of a kind that accelsim ships, by name (their path in the folder without `.yaml`), sorted."""
    folder = root() / kind.folder
    found = {path.relative_to(folder).with_suffix("").as_posix(): path for path in folder.rglob("*.yaml")}
    return dict(sorted(found.items()))


def named(text: str, kind: Kind) -> Path | None:
    """The shipped file of a name, of which folders may be left out where only one file ends so; None if there is none."""
    known = shipped(kind)
    ends = [name for name in known if name.rsplit("/", 1)[-1] == text]
    return known.get(text, known[ends[0]] if len(ends) == 1 else None)


def names(kind: Kind) -> list[str]:
    """Names that are shipped, without their folders too where that is enough."""
    known = shipped(kind)
    ends = Counter(name.rsplit("/", 1)[-1] for name in known)
    return [*known, *(end for end, many in ends.items() if many == 1 and end not in known)]


def resolve(text: str, kind: Kind) -> Path:
    """The file that `text` means; an InputError with the nearest shipped name if there is none."""
    path = Path(text)
    try:
        if text and path.is_dir():
            raise InputError(f"{text} is a folder, not a {kind.noun} file", f"name a file, or one of `accelsim list {kind.plural}`")
        if text and path.exists():
            return path
    except (OSError, ValueError):
        pass  # not a name that the file system can hold
    found, known = named(text, kind), names(kind)
    if found is not None:
        return found
    for other in KINDS:
        if named(text, other) is not None:
            raise InputError(f"'{text}' is a {other.noun}, not a {kind.noun}", f"see `accelsim list {kind.plural}`")
    if path.suffix in {".yaml", ".yml"} or len(path.parts) > 1:
        raise InputError(f"there is no file '{_short(text)}'", did_you_mean(path.stem, known))
    raise InputError(f"there is no {kind.noun} '{_short(text)}'", did_you_mean(text, known))


def identify(text: str) -> tuple[Path, Kind]:
    """The file of any kind that `text` means, and its kind by the key that names it inside; a file of another tool is a workload."""
    path = Path(text)
    try:
        found = path if text and path.is_file() else next(known for kind in KINDS if (known := named(text, kind)) is not None)
    except (OSError, ValueError, StopIteration):
        every = {name for kind in KINDS for name in names(kind)}
        raise InputError(f"there is no file '{_short(text)}'", did_you_mean(path.stem, every)) from None
    from accelsim.io.importing import format_of
    from accelsim.io.source import load

    refuse_result(found, text)
    if found.suffix not in (".yaml", ".yml") and format_of(found) is not None:
        return found, WORKLOAD
    document = load(found)
    keys = document.mapping("the file")
    for kind in (*KINDS, CONSTRAINTS):
        if kind.key in keys:
            return found, kind
    if format_of(found) is not None:
        return found, WORKLOAD
    kinds = "workload, machine, mapping, technology, DRAM, rates, campaign, sweep, evidence or constraints"
    raise document.error(f"no {kinds}", "name it at the top, as in 'workload: NAME'")


def refuse_other(document: Item, kind: Kind) -> None:
    """An InputError if a document says at its top that it is of another kind."""
    keys = document.value if isinstance(document.value, dict) else {}
    other = next((each for each in (*KINDS, CONSTRAINTS) if each.key in keys), kind)
    if kind.key not in keys and other is not kind:
        raise document.error(f"this is a {other.noun}, not a {kind.noun}", f"name a {kind.noun}, or write '{kind.key}:' at the top")


def refuse_result(path: Path, text: str) -> None:
    """An InputError if a file is what `--json` wrote, which is known by its first line."""
    try:
        with path.open("rb") as stream:
            start = stream.read(200).decode("utf-8", "replace")
    except OSError:
        return  # `load` says why
    found = re.match(r'\{\s*"schema":\s*"accelsim/([a-z-]+)/', start)
    if found is None:
        return
    if found[1].endswith("evaluation"):
        raise InputError(f"{text} is an evaluation, not a description", f"see it with `accelsim report {text}`")
    raise InputError(f"{text} is what `accelsim {found[1]} --json` wrote, not a description", "check the file that it was made from")


def about(path: Path) -> str:
    """The first sentence of a file's `about`, or '' if it says nothing or cannot be read."""
    from accelsim.io.source import load

    try:
        document = load(path).value
    except InputError:
        return ""
    item = document.get("about") if isinstance(document, dict) else None
    text = " ".join(str(item.value).split()) if item is not None else ""
    return text.split(". ")[0].rstrip(".")


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "…"
