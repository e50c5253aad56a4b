"""What-ifs: a change of the nouns is that of the machine's file, and what it does is what a fresh evaluation says."""

from __future__ import annotations

from fractions import Fraction
from math import isclose

import pytest

from accelsim.errors import AccelsimError
from accelsim.explore.reasons import binding
from accelsim.explore.whatif import changes, run_of, same_mapping, what_if
from accelsim.hardware.architecture import Architecture
from accelsim.io.catalogue import MACHINE, resolve
from accelsim.io.hardware import load_architecture
from accelsim.model.evaluation import Evaluator
from tests.explore.test_provenance import PAIRS, shipped
from tests.explore.test_reasons import runs
from tests.share import share


@pytest.mark.parametrize(("workload", "machine", "mapping"), PAIRS)
def test_a_change_is_what_the_setting_of_the_file_makes(workload: str, machine: str, mapping: str) -> None:
    """Bandwidths doubled in the nouns, and by `--set` in the text of the file."""
    found = shipped(workload, machine, mapping)
    where = found.evaluator.architecture
    compared = 0
    for change in changes(where, None):
        if change.field != "bandwidth":
            continue
        memory = where.memories[change.component]
        if memory.ports == "shared":
            setting = {f"{memory.name}.bandwidth": _rate(memory.read_bits_per_s)}
        else:
            ways = (("read", memory.read_bits_per_s), ("write", memory.write_bits_per_s))
            setting = {f"{memory.name}.{way}_bandwidth": _rate(rate) for way, rate in ways}
        made = load_architecture(resolve(machine, MACHINE), setting)
        fresh = Evaluator(found.evaluator.cascade, made, found.evaluator.counting).evaluate(found.mapping)
        (result,) = what_if([(1, found)], [change], same_mapping)
        assert result.run is not None
        assert (result.run.cycles, result.run.energy_pj) == (fresh.cycles, fresh.energy.value)
        assert isclose(result.run.seconds, fresh.seconds)
        assert (result.run.resource, result.run.kind) == binding(fresh)[:2]
        compared += 1
    assert compared


def _rate(rate: Fraction | None) -> str:
    return "unlimited" if rate is None else f"{2 * rate / 8} B/s"


def test_sizes_and_clocks_are_priced_anew() -> None:
    found = shipped(*PAIRS[0])
    where = found.evaluator.architecture
    made = {
        (each.component, each.field): each for each in changes(where, lambda setting: load_architecture(resolve("flat", MACHINE), setting))
    }
    assert made["L3", "size"].machine.memories["L3"].size_bits == 2 * (where.memories["L3"].size_bits or 0)
    assert made["L3", "size"].machine.memories["L3"].static_w != where.memories["L3"].static_w
    assert made["", "clock"].machine.clock_hz == 2 * where.clock_hz
    assert made["row", "size"].machine.axes["row"][1].size == 2 * where.axes["row"][1].size
    without = {(each.component, each.field) for each in changes(where)}
    assert without == {key for key in made if key[1] not in ("size", "clock")}


def test_more_of_anything_is_never_slower_and_the_fastest_comes_first() -> None:
    faster = 0
    for found in runs(21, share(200, 40, 10)):
        base = run_of([(1, found)])
        assert base.cycles == found.cycles
        results = what_if([(1, found)], list(changes(found.evaluator.architecture)), same_mapping)
        seconds = [each.run.seconds for each in results if each.run is not None]
        assert len(seconds) == len(results)
        assert seconds == sorted(seconds)
        assert all(each <= base.seconds * (1 + 1e-12) for each in seconds)
        faster += any(each < base.seconds * 0.999 for each in seconds)
    assert faster


def test_the_binding_memory_alone_at_twice_its_bandwidth_halves_the_time() -> None:
    found = shipped("softmax-two-pass-recomputed", "simple", "softmax-two-pass")
    resource, kind, part = binding(found)
    results = {each.change.component: each for each in what_if([(1, found)], list(changes(found.evaluator.architecture)), same_mapping)}
    if (kind, part) == ("memory", 1.0):  # then nothing can be faster than twice
        run = results[resource].run
        assert run is not None
        assert found.seconds / 2 <= run.seconds * (1 + 1e-12) <= found.seconds * (1 + 1e-9)


def test_uses_of_layers_multiply_time_and_energy() -> None:
    found = shipped(*PAIRS[1])
    once, thrice = run_of([(1, found)]), run_of([(2, found), (1, found)])
    assert thrice.cycles == 3 * once.cycles
    assert isclose(thrice.seconds, 3 * once.seconds)
    assert isclose(thrice.energy_pj, 3 * once.energy_pj)
    assert (thrice.resource, thrice.kind) == (once.resource, once.kind)
    assert isclose(thrice.share, once.share)


def test_a_change_without_a_run_says_why() -> None:
    found = shipped(*PAIRS[0])

    def refused(_: int, __: object, ___: Architecture) -> object:
        raise AccelsimError("no mapping fits")

    results = what_if([(1, found)], list(changes(found.evaluator.architecture)), refused)  # type: ignore[arg-type]
    assert {(each.run, each.why) for each in results} == {(None, "no mapping fits")}
