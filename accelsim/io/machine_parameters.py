"""The numbers of a machine file that `--set arch.…` can change, found by walking the file."""

from __future__ import annotations

from collections.abc import Iterator

from accelsim.explore.points import Point
from accelsim.explore.quantity import quantity
from accelsim.io.catalogue import MACHINE, resolve
from accelsim.io.hardware_overrides import spelled_out, targets
from accelsim.io.source import Item, load
from accelsim.io.sweep_cases import FileCases

_PRICES = {"energy", "power", "area", "gates", "failures"}  # which a machine has with low and high, from tables too
_NOT_OF_THE_MACHINE = ("word", "access")  # what other figures are counted in
_ELSEWHERE = ("feeds", "axes", "memory", "array", "unit", "rtl", "dram")


def machine_parameters(name: str) -> dict[str, str]:
    """Text by path, as in {'arch.L3.size': '16 MiB'}: sizes, bandwidths, clocks, lanes and the like that the file states as numbers.

    What is a formula of names under `let` follows from them, which are there as `arch.let.…`.
    """
    document = spelled_out(load(resolve(name, MACHINE)))
    keys = document.mapping("a machine")
    found: dict[str, str] = {}
    for key in ("clock", "launch"):
        if key in keys:
            found |= _numbers(f"arch.{key}", keys[key])
    if "let" in keys:
        found |= _numbers("arch.let", keys["let"])
    for node, at in targets(keys.get("tree"), ("tree",)):
        item = document
        for key in at:
            item = item.value[key]
        if isinstance(item.value, dict):
            for key, child in item.value.items():
                if key not in _ELSEWHERE and key not in _NOT_OF_THE_MACHINE:
                    found |= _numbers(f"arch.{node}.{key}", child)
    return found


def parameters_of(cases: FileCases, point: Point) -> dict[str, str]:
    """Those of the machine of a point, as the sweep sets them."""
    found = machine_parameters(str(cases.choice(point, "arch")))
    given = {**cases.fixed, **dict(zip(cases.names, point.values, strict=True))}
    return {name: given.get(name, text) for name, text in found.items()}


def _numbers(path: str, item: Item) -> dict[str, str]:
    return dict(_leaves(path, item))


def _leaves(path: str, item: Item) -> Iterator[tuple[str, str]]:
    if isinstance(item.value, dict):
        if "value" not in item.value:  # else a price
            for key, child in item.value.items():
                yield from _leaves(f"{path}.{key}", child)
        return
    if isinstance(item.value, bool) or not isinstance(item.value, int | float | str):
        return
    number = quantity(str(item.value).strip())
    if number is not None and number.value > 0 and not _PRICES & {name for name, _ in number.dimension}:
        yield path, str(item.value).strip()
