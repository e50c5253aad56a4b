"""Files of protections: what is shipped, and what is wrong with others, said where it stands."""

from __future__ import annotations

from random import Random

import pytest

from accelsim.errors import InputError
from accelsim.faults.protection import MARKS
from accelsim.faults.selection import Limits, problem, select
from accelsim.io.catalogue import root
from accelsim.io.protection import load_techniques, techniques
from accelsim.io.source import parse
from tests.faults.protected import blocks

SHIPPED = {each.name: each for path in sorted((root() / "hw" / "protection").glob("*.yaml")) for each in load_techniques(path)}
FLOP = "{name: hard, protects: [flops], detected: 0.9, corrected: 1, area: 0.2, energy: 0.1, mark: read, source: a book}"


def options(*lines: str) -> str:
    return "\n".join(["protection: mine", "options:", *(f"  - {line}" for line in lines)])


def test_every_shipped_figure_has_a_mark_and_a_source() -> None:
    assert len(SHIPPED) == 12
    for each in SHIPPED.values():
        assert each.mark in MARKS and len(each.source) > 20


def test_option_says_what_its_file_says() -> None:
    (found,) = techniques(parse(options(FLOP), "mine.yaml"))
    figures = (found.detected, found.corrected, found.area, found.energy)
    assert [(each.low, each.value, each.high) for each in figures] == [(x, x, x) for x in (0.9, 1.0, 0.2, 0.1)]
    assert (found.added.value, found.checked.value, found.delay.value, found.source) == (0.0, 0.0, 0.0, "a book")


def test_shipped_techniques_reach_99_percent_at_their_worst_for_less_area_than_copies_of_everything() -> None:
    """The shape that is published: duplicating little and hardening some is well below duplication, which is 100 %."""
    mine = blocks(Random(2), 12)
    found = problem(mine, tuple(SHIPPED.values()), worst=True)
    chosen = select(found, Limits(spfm=0.99, detected_fit=0.02 * found.fit))
    whole = sum(part.area for block in mine for part in block.parts)
    assert chosen.spfm >= 0.99 and 0 < chosen.area < 0.6 * whole
    assert len({name for name in chosen.names}) > 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("options: []", "mine.yaml:1:1: a file of protections needs 'protection'; add 'protection:'"),
        ("protection: p\noptions: []",
         "mine.yaml:2:10: a file of protections has no options; add '- {name: parity, protects: [memory], …}'"),
        (options(FLOP, FLOP), "mine.yaml:4:5: two options are called 'hard'; rename one"),
        (options(FLOP.replace("mark: read, ", "")),
         "mine.yaml:3:5: an option needs 'mark'; add 'mark:'; every option has its coverage, its costs, its mark and its source"),
        (options(FLOP.replace("read", "sure")),
         "mine.yaml:3:96: no mark is called 'sure'; known: assumed, derived, executed, quoted, read, recalled"),
        (options(FLOP.replace("[flops]", "[flop]")), "mine.yaml:3:29: no part is called 'flop'; did you mean 'flops'?"),
        (options(FLOP.replace("[flops]", "[]")),
         "mine.yaml:3:28: an option protects nothing, or something twice; write some of flops, memory, logic"),
        (options(FLOP.replace("0.9", "90")), "mine.yaml:3:47: detected 90 is not a share; write it from 0 to 1, as in 0.99"),
        (options(FLOP.replace("0.9", "high")), "mine.yaml:3:47: detected must be a number, not 'high'; write it as in 0.99"),
        (options(FLOP.replace("0.9", "-1")), "mine.yaml:3:47: detected -1 cannot be; write a number of at least 0"),
        (options(FLOP.replace("0.9", "{value: 0.9}")),
         "mine.yaml:3:47: detected needs 'low'; write a number, or {value: …, low: …, high: …}"),
        (options(FLOP.replace("0.9", "{value: 0.9, low: 1, high: 1}")),
         "mine.yaml:3:47: low 1, value 0.9, high 1 are out of order; low <= value <= high"),
        (options(FLOP.replace("a book", "''")), "mine.yaml:3:110: an option needs a source; say where its figures come from"),
        (options(FLOP.replace("area", "structure: secded, area")),
         "mine.yaml:3:85: area follows from the structure 'secded'; remove it"),
        (options(FLOP.replace("area", "aera")), "mine.yaml:3:66: an option has no 'aera'; did you mean 'area'?"),
        (f"sources: {{a: b}}\n{options(FLOP)}", "mine.yaml:1:11: no option cites source 'a'; remove it"),
    ],
)  # fmt: skip
def test_wrong_file_is_refused_where_it_is_wrong(text: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        techniques(parse(text, "mine.yaml"))
    assert str(error.value) == message
