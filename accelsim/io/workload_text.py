"""A cascade as a workload file, which loads as the same cascade again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from accelsim.io.source import parse
from accelsim.workload.cascade import Cascade
from accelsim.workload.declaration import TensorDeclaration, TypePair
from accelsim.workload.density import OPTIONAL, PARAMETERS, RMAT, Stated
from accelsim.workload.storage import Storage

_PLAIN = re.compile(r"[A-Za-z0-9_./()\[\]*+-][A-Za-z0-9_./ ()*+=-]*\Z")


def dump_workload(cascade: Cascade, about: str = "", name: str = "") -> str:
    """The text of a workload file. Needs a cascade that `build` made."""
    stated = cascade.declaration
    assert stated is not None, "a cascade made by hand has no declaration"
    lines = [f"workload: {_text(name or cascade.name)}"]
    lines += [f"about: {_text(about)}"] if about else []
    lines += [f"source: {_text(stated.source)}"] if stated.source else []
    derived = {rank: formula for rank, formula in stated.derived.items() if rank not in stated.shape}
    lines.append(f"shape: {_flow({**stated.shape, **derived})}")
    if stated.split:
        lines.append(f"split: {_flow(stated.split)}")
    if stated.constants:
        lines.append(f"constants: {_flow(stated.constants)}")
    types = {"default": _pair(stated.default, None), **{key: _pair(pair, stated.default) for key, pair in stated.types.items()}}
    lines.append(f"type: {_flow(types)}")
    if stated.tensors:
        lines.append(f"tensors: {_flow({key: _tensor(each) for key, each in stated.tensors.items()})}")
    if stated.density:
        lines.append(f"density: {_flow({key: _density(each) for key, each in stated.density.items()})}")
    if stated.storage:
        lines.append(f"format: {_flow({key: _storage(each) for key, each in stated.storage.items()})}")
    lines.append("einsums:")
    texts = [_joined(statement.text) for statement in stated.statements]
    wide = max(text.index(" = ") for text in texts)
    for statement, text in zip(stated.statements, texts, strict=True):
        left, right = text.split(" = ", 1)
        line = f"{left:<{wide}} = {right}"
        entry = line if _is_plain(line) else json.dumps(line)
        lines.append(f"  - {{{statement.label}: {json.dumps(line)}}}" if statement.label else f"  - {entry}")
    return "\n".join(lines) + "\n"


def _joined(text: str) -> str:
    """A statement in one line, with spaces around the sign that defines."""
    left, right = " ".join(text.split()).split("=", 1)
    return f"{left.strip()} = {right.strip()}"


def _is_plain(line: str) -> bool:
    """Whether YAML reads a line as it stands."""
    return not any(sign in line for sign in (": ", " #", '"', "'"))


def _text(text: str) -> str:
    plain = _PLAIN.match(text) and text.strip() == text
    return text if plain and isinstance(parse(f"a: {text}", "").mapping("")["a"].value, str) else json.dumps(text, ensure_ascii=False)


def _flow(value: Any) -> str:
    """A value as YAML in one line."""
    if value is None:
        return "~"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_flow(each) for each in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        if value in (float("inf"), float("-inf")):
            return str(value)
        return str(int(value)) if float(value).is_integer() and abs(value) < 1e16 else _real(float(value))
    return value if re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]*", value) and value.lower() not in _WORDS else json.dumps(value)


_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def _real(value: float) -> str:
    """A number that YAML reads as one: 1e-05 is a word to it, 1.0e-05 is not."""
    mantissa, exponent, power = repr(value).partition("e")
    return mantissa + ("" if "." in mantissa else ".0") + exponent + power if exponent else mantissa


def _pair(pair: TypePair, default: TypePair | None) -> Any:
    if pair.final == pair.partial:
        return pair.final.name
    return {"partial": pair.partial.name, "final": pair.final.name}


def _tensor(stated: TensorDeclaration) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if stated.shape is not None:
        found["shape"] = list(stated.shape)
    if stated.fill is not None:
        found["fill"] = stated.fill
    if stated.output:
        found["output"] = True
    if stated.below is not None:
        found["below"] = stated.below
    return found


def _density(stated: float | Stated) -> Any:
    if not isinstance(stated, Stated):
        return stated
    found: dict[str, Any] = {"model": stated.model}
    for key in PARAMETERS[stated.model]:
        value: Any = getattr(stated, key)
        if key == "lengths":
            value = [share for _, share in sorted(stated.lengths)]
        if key not in OPTIONAL or value != RMAT:
            found[key] = value
    return found


def _storage(stated: Storage) -> dict[str, Any]:
    found: dict[str, Any] = {"ranks": list(stated.kinds)}
    widths = {"coordinate": stated.coordinate_bits, "pointer": stated.pointer_bits, "line": stated.line_bits, "value": stated.value_bits}
    defaults = {"coordinate": 0, "pointer": 32, "line": 1, "value": 0}
    for key, bits in widths.items():
        if bits != defaults[key]:
            found[key] = "none" if key == "pointer" and bits == 0 else f"{bits} bit"
    if stated.whole_tiles:
        found["tiles"] = "whole"
    return found
