"""Workload files of accelsim as they are written: layers of statements, equal ones once, as YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

_WORD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
WIDTH = 130


@dataclass(frozen=True, slots=True)
class Sheet:
    """A cascade as text: `types` by tensor (and `default`), `tensors` what is declared of them, `outputs` what others may read."""

    name: str
    einsums: tuple[str, ...]
    shape: Mapping[str, int]
    types: Mapping[str, str] = field(default_factory=dict)
    tensors: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    times: int = 1
    densities: Mapping[str, str] = field(default_factory=dict)


def alike(sheet: Sheet) -> tuple[object, ...]:
    """The same for sheets that only differ in names: names by order of appearance."""
    ranks: dict[str, str] = {}
    names: dict[str, str] = {}
    sizes = {rank.upper() for rank in sheet.shape}

    def short(found: re.Match[str]) -> str:
        word = found[0]
        if found.string[found.end() :].lstrip().startswith("(") or word in ("where", "and", "or", "not", "inf"):
            return word
        if found.string[found.end() :].startswith("["):
            inside = found.string[found.end() :].partition("]")[2].startswith("(")  # max[m](...)
            return word if inside else names.setdefault(word, f"T{len(names)}")
        if word in sheet.shape:
            return ranks.setdefault(word, f"r{len(ranks)}")
        return ranks.setdefault(word.lower(), f"r{len(ranks)}").upper() if word in sizes else word

    einsums = tuple(_WORD.sub(short, text) for text in sheet.einsums)
    shape = tuple((ranks.get(rank, rank), size) for rank, size in sorted(sheet.shape.items(), key=lambda item: ranks.get(item[0], item[0])))
    types = tuple(sorted((names.get(name, name), kind) for name, kind in sheet.types.items()))
    tensors = tuple(sorted((names.get(name, name), stated) for name, stated in sheet.tensors.items()))
    densities = tuple(sorted((names.get(name, name), share) for name, share in sheet.densities.items()))
    return einsums, shape, types, tensors, densities, tuple(names.get(name, name) for name in sheet.outputs)


def merged(sheets: Sequence[Sheet]) -> list[Sheet]:
    """Equal sheets once, where the first stands, with `times`; what later ones read is called as the first one calls it."""
    found: dict[tuple[object, ...], Sheet] = {}
    called: dict[str, str] = {}
    for sheet in sheets:
        sheet = _renamed(sheet, called)
        key = alike(sheet)
        first = found.get(key)
        if first is None:
            found[key] = sheet
            continue
        found[key] = replace(first, times=first.times + sheet.times)
        called |= {name: called.get(other, other) for name, other in zip(sheet.outputs, first.outputs, strict=True)}
    return list(found.values())


def _renamed(sheet: Sheet, called: Mapping[str, str]) -> Sheet:
    """A sheet with other names of what it reads, as long as they stay apart."""
    words = {word for text in sheet.einsums for word in _WORD.findall(text)}
    new = {old: called[old] for old in called if old in words and old not in sheet.outputs}
    taken = words - set(new)
    new = {old: name for old, name in new.items() if name not in taken and list(new.values()).count(name) == 1}
    if not new:
        return sheet

    def swap(text: str) -> str:
        return _WORD.sub(lambda found: new.get(found[0], found[0]), text)

    types = {new.get(name, name): kind for name, kind in sheet.types.items()}
    tensors = {new.get(name, name): stated for name, stated in sheet.tensors.items()}
    return replace(sheet, einsums=tuple(map(swap, sheet.einsums)), types=types, tensors=tensors)


def distinct(sheets: Sequence[Sheet]) -> list[Sheet]:
    """Sheets with a name for each."""
    taken: dict[str, int] = {}
    found = []
    for sheet in sheets:
        taken[sheet.name] = number = taken.get(sheet.name, 0) + 1
        while number > 1 and f"{sheet.name}-{number}" in taken:
            number += 1
        name = sheet.name if number == 1 else f"{sheet.name}-{number}"
        taken.setdefault(name, 1)
        found.append(replace(sheet, name=name))
    return found


def write(name: str, about: str, source: str, sheets: Sequence[Sheet]) -> str:
    """The YAML of a workload: one cascade, or layers."""
    lines = [f"workload: {_plain(name)}"]
    if len(about) < WIDTH - 10:
        lines.append(f"about: {_quoted(about)}")
    else:
        lines += ["about: >-", *(f"  {line}" for line in _wrapped(about, WIDTH - 2))]
    lines.append(f"source: {_quoted(source)}")
    if len(sheets) == 1 and sheets[0].times == 1:
        return "\n".join([*lines, *_body(sheets[0])]) + "\n"
    lines.append("layers:")
    for sheet in sheets:
        body = [f"name: {_plain(sheet.name)}", *([f"times: {sheet.times}"] if sheet.times > 1 else []), *_body(sheet)]
        lines += [f"  {'- ' if at == 0 else '  '}{line}" for at, line in enumerate(body)]
    return "\n".join(lines) + "\n"


def _body(sheet: Sheet) -> list[str]:
    lines = _row("shape", sheet.shape) if sheet.shape else []
    lines += _row("type", sheet.types) if sheet.types else []
    lines += _row("tensors", sheet.tensors) if sheet.tensors else []
    lines += _row("density", sheet.densities) if sheet.densities else []
    return [*lines, "einsums:", *(f"  - {text}" for text in sheet.einsums)]


def _row(key: str, values: Mapping[str, object]) -> list[str]:
    """A mapping on one line, or on one line for each key where it is too long."""
    if key == "type" and list(values) == ["default"]:
        return [f"type: {values['default']}"]
    short = f"{key}: {{{', '.join(f'{_quoted_key(name)}: {value}' for name, value in values.items())}}}"
    return [short] if len(short) <= WIDTH - 4 else [f"{key}:", *(f"  {_quoted_key(name)}: {value}" for name, value in values.items())]


def _plain(word: str) -> str:
    """A name, quoted where YAML would read it as something else."""
    return word if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", word) and _quoted_key(word) == word else f"'{word}'"


def _quoted_key(word: str) -> str:
    return word if word.lower() not in {"true", "false", "null", "yes", "no", "on", "off"} else f"'{word}'"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
