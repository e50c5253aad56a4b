"""Blocks of a machine: a node's `rtl` says what modules it is made of, which a synthesis table counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from accelsim.errors import did_you_mean
from accelsim.hardware.block import Block, Content
from accelsim.io.catalogue import root
from accelsim.io.source import Item, parse, read_text
from accelsim.io.values import Values, name_of, words

SHIPPED = "hw/synthesis.yaml"
_FILE_KEYS = {"about", "yosys", "made_by", "rows", "processor"}
_COUNTS = ("flops", "memory_bits", "gates")
_ROW_KEYS = {"module", "parameters", *_COUNTS, "gate_equivalents", "toggles", "copies", "effort", "apart"}
_EFFORT = "fast"  # synthesis without a search for gates that compute the same
_MOST_SHOWN = 4


def shipped_table() -> Path:
    """The synthesis table of the modules of hw/rtl."""
    return root() / SHIPPED


def load_blocks(path: Path) -> tuple[Block, ...]:
    """Every row of a synthesis table."""
    return _parsed(read_text(path), str(path))


@lru_cache(maxsize=8)
def _parsed(text: str, file: str) -> tuple[Block, ...]:
    document = parse(text, file)
    keys = document.only(_FILE_KEYS, "a synthesis table")
    if "rows" not in keys:
        raise document.error("a synthesis table needs 'rows'", "add 'rows:'")
    found: dict[tuple[str, tuple[tuple[str, int], ...], str], Block] = {}
    for item in (each for key in ("rows", "processor") if key in keys for each in keys[key].items(key)):
        block = _row(item)
        if found.setdefault((block.module, tuple(sorted(block.parameters)), block.apart), block) is not block:
            raise item.error(f"{block} has two rows", "keep one")
    return tuple(found.values())


def _row(item: Item) -> Block:
    keys = item.only(_ROW_KEYS, "a row")
    for key in ("module", "parameters", *_COUNTS, "gate_equivalents"):
        if key not in keys:
            raise item.error(f"a row needs '{key}'", f"add '{key}:'")
    parameters = tuple((name, _whole(child, name)) for name, child in keys["parameters"].mapping("parameters").items())
    equivalents = keys["gate_equivalents"].only({"gates", "flops"}, "gate_equivalents")
    if len(equivalents) < 2:
        raise keys["gate_equivalents"].error("gate_equivalents needs those of gates and of flops", "write {gates: 10.5, flops: 42.0}")
    size = sum(_number(child, key) for key, child in equivalents.items())
    _check_more(keys)
    apart = name_of(keys["apart"], "apart") if "apart" in keys else ""
    flops, memory_bits, gates = (_whole(keys[key], key) for key in _COUNTS)
    return Block(name_of(keys["module"], "module"), parameters, Content(flops, memory_bits, gates, size), apart)


def _check_more(keys: Mapping[str, Item]) -> None:
    """Refuse toggles by kind of operands, copies and effort that are none; only readers of the table use them."""
    for kind, child in keys["toggles"].mapping("toggles").items() if "toggles" in keys else ():
        _number(child, f"toggles of {kind}")
    if "copies" in keys and _whole(keys["copies"], "copies") < 1:
        raise keys["copies"].error("copies is 0", "write how many copies the design has, 1 or more")
    if "effort" in keys and words(keys["effort"], "effort") != _EFFORT:
        raise keys["effort"].error(f"effort is '{words(keys['effort'], 'effort')[:40]}'", f"write {_EFFORT}, or leave it out")


def _number(item: Item, what: str) -> float:
    text = words(item, what)
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 2**53:
        raise item.error(f"{what} is '{text[:40]}'", "write a number from 0 to below 2**53")
    return number


def _whole(item: Item, what: str) -> int:
    number = _number(item, what)
    if number != int(number):
        raise item.error(f"{what} is '{words(item, what)}'", "write a whole number")
    return int(number)


def named(item: Item, table: tuple[Block, ...], values: Values) -> tuple[Block, ...]:
    """The blocks that `rtl` names: one, or a list. Parameters may be left out where one row fits; values may be formulas."""
    children = item.items("rtl") if isinstance(item.value, list) else [item]
    if not children:
        raise item.error("rtl is an empty list", "name what the node is made of, as in {module: pe_os, parameters: {AW: 8, BW: 8, CW: 32}}")
    return tuple(_named(child, table, values) for child in children)


def _named(item: Item, table: tuple[Block, ...], values: Values) -> Block:
    keys = item.only({"module", "parameters", "count", "apart"}, "rtl")
    if "module" not in keys:
        raise item.error("rtl names no module", "write it as in {module: pe_os, parameters: {AW: 8, BW: 8, CW: 32}}")
    rows = _rows_of(keys, item, table)
    module, given = rows[0].module, keys["parameters"].mapping("parameters") if "parameters" in keys else {}
    for name in given:
        if not any(name in dict(block.parameters) for block in rows):
            known = list(dict.fromkeys(name for block in rows for name, _ in block.parameters))
            raise keys["parameters"].key_error(name, f"{module} has no parameter '{name}'", did_you_mean(name, known))
    wanted = {name: values.whole(child, name, 0) for name, child in given.items()}
    fitting = [block for block in rows if all(dict(block.parameters).get(name) == value for name, value in wanted.items())]
    at, said = keys.get("parameters", item), " ".join(f"{name}={value}" for name, value in wanted.items())
    if not fitting:
        raise at.error(f"no row of {module} has {said}", f"known: {_known(rows)}")
    if len(fitting) > 1:
        what = f"{len(fitting)} rows of {module} have {said}" if wanted else f"{module} has {len(fitting)} rows"
        raise at.error(what, f"choose the parameters of one: {_known(fitting)}")
    return replace(fitting[0], count=values.whole(keys["count"], "count", 1) if "count" in keys else 1)


def _rows_of(keys: Mapping[str, Item], item: Item, table: tuple[Block, ...]) -> list[Block]:
    """Rows of the module that is named, less what is named apart."""
    module, apart = name_of(keys["module"], "module"), name_of(keys["apart"], "apart") if "apart" in keys else ""
    of_module = [block for block in table if block.module == module]
    if not of_module:
        raise keys["module"].error(f"no row is of module '{module}'", did_you_mean(module, sorted({block.module for block in table})))
    rows = [block for block in of_module if block.apart == apart]
    if not rows:
        mend = " or ".join(f"write 'apart: {name}'" if name else "remove 'apart'" for name in sorted({block.apart for block in of_module}))
        raise keys.get("apart", item).error(f"no row of {module} is {f'without {apart}' if apart else 'whole'}", mend)
    return rows


def _known(rows: list[Block]) -> str:
    shown = ["{" + ", ".join(f"{name}: {value}" for name, value in block.parameters) + "}" for block in rows[:_MOST_SHOWN]]
    return ", ".join(shown) + (f" and {len(rows) - _MOST_SHOWN} more" if len(rows) > _MOST_SHOWN else "")


def beside(item: Item, file: str) -> Path:
    """The synthesis table that a machine file names: a path from its folder, or from where the command runs."""
    name = name_of(item, "synthesis")
    for path in (Path(file).parent / name, Path(name)):
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):
            continue
    raise item.error(f"there is no file '{name}'", "name a synthesis table; without 'synthesis', it is that of hw/rtl")
