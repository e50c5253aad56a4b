"""The registers of a grid array, as hw/rtl/systolic_os.sv and systolic_ws.sv have them, with the names that they have there.

A state of the array is one int64 word for each register: fields one after the other, and inside a field by row and column. Words of
operands and sums are signed. The skew in front of the edges is a chain of registers for each row and column, the newest word first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from accelsim.sim.systolic import RESULT

OPERANDS, SUMS, CONTROL = "operands", "sums", "control"
ELEMENT, ACROSS, DOWN, COLUMN, REACH = "element", "across", "down", "column", "reach"  # where a field's registers are


@dataclass(frozen=True, slots=True)
class Widths:
    """Bits of the words that move across, of those that move down or stay, and of sums."""

    a: int = 8
    b: int = 8
    sum: int = 32


BYTES = Widths()


@dataclass(frozen=True, slots=True)
class Field:
    """Registers of one name. `role`: operands, sums or control. `low`: the bit of the RTL's register where these begin."""

    name: str
    where: str
    bits: int
    role: str
    rtl: str
    low: int = 0


@dataclass(frozen=True, slots=True)
class Site:
    """One register. `row`, `column`: of the element; in a chain of a row, `column` is its age, in one of a column, `row` is."""

    field: Field
    row: int
    column: int


def _fields(stays: str, widths: Widths) -> tuple[Field, ...]:
    a, b, total = widths.a, widths.b, widths.sum
    if stays == RESULT:
        lane = ("bottom", "last", "first", "valid")
        return (
            Field("a_q", ELEMENT, a, OPERANDS, "a_q"), Field("b_q", ELEMENT, b, OPERANDS, "b_q"),
            Field("c_q", ELEMENT, total, SUMS, "c_q"), Field("d_q", ELEMENT, total, SUMS, "d_q"),
            Field("skew_a", ACROSS, a, OPERANDS, "chain_q"), Field("skew_b", DOWN, b, OPERANDS, "chain_q"),
            Field("a_valid_q", ELEMENT, 1, CONTROL, "a_valid_q"), Field("b_valid_q", ELEMENT, 1, CONTROL, "b_valid_q"),
            Field("first_q", ELEMENT, 1, CONTROL, "first_q"), Field("last_q", ELEMENT, 1, CONTROL, "last_q"),
            Field("bottom_q", ELEMENT, 1, CONTROL, "bottom_q"), Field("d_valid_q", ELEMENT, 1, CONTROL, "d_valid_q"),
            Field("token_q", COLUMN, 1, CONTROL, "token_q"),
            *(Field(f"skew_a_{name}", ACROSS, 1, CONTROL, "chain_q", a + place) for place, name in enumerate(lane)),
            Field("skew_b_valid", DOWN, 1, CONTROL, "chain_q", b),
        )  # fmt: skip
    return (
        Field("a_q", ELEMENT, a, OPERANDS, "a_q"), Field("w_q", ELEMENT, b, OPERANDS, "w_q"), Field("v_q", ELEMENT, b, OPERANDS, "v_q"),
        Field("p_q", ELEMENT, total, SUMS, "p_q"),
        Field("skew_a", ACROSS, a, OPERANDS, "chain_q"), Field("skew_w", DOWN, b, OPERANDS, "chain_q"),
        Field("valid_q", ELEMENT, 1, CONTROL, "valid_q"), Field("first_q", ELEMENT, 1, CONTROL, "first_q"),
        Field("reached_q", REACH, 1, CONTROL, "reached_q"),
        Field("skew_a_first", ACROSS, 1, CONTROL, "chain_q", a), Field("skew_a_valid", ACROSS, 1, CONTROL, "chain_q", a + 1),
        Field("skew_w_first", DOWN, 1, CONTROL, "chain_q", b), Field("skew_w_load", DOWN, 1, CONTROL, "chain_q", b + 1),
    )  # fmt: skip


@dataclass(frozen=True)
class Registers:
    """All of an array of `rows` x `columns` elements in which the result or an operand stays."""

    rows: int
    columns: int
    stays: str
    widths: Widths

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """In the order of a state."""
        return _fields(self.stays, self.widths)

    def count(self, field: Field) -> int:
        """Registers of a field."""
        rows, columns = self.rows, self.columns
        return {
            ELEMENT: rows * columns, ACROSS: rows * (rows - 1) // 2, DOWN: columns * (columns - 1) // 2,
            COLUMN: rows * columns, REACH: (rows - 1) * columns,
        }[field.where]  # fmt: skip

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where each field begins in a state, and its end."""
        found = [0]
        for field in self.fields:
            found.append(found[-1] + self.count(field))
        return tuple(found)

    @property
    def size(self) -> int:
        """Registers in all."""
        return self.starts[-1]

    @property
    def bits(self) -> int:
        """Bits in all."""
        return sum(self.count(field) * field.bits for field in self.fields)

    def field(self, name: str) -> int:
        """The place of a field among `fields`."""
        return [each.name for each in self.fields].index(name)

    def site(self, place: int) -> Site:
        """The register at a place of a state."""
        number = next(at for at in range(len(self.fields)) if place < self.starts[at + 1])
        field, place = self.fields[number], place - self.starts[number]
        if field.where in {ACROSS, DOWN}:
            lane, age = chain_of(place)
            return Site(field, lane, age) if field.where == ACROSS else Site(field, age, lane)
        return Site(field, place // self.columns, place % self.columns)

    def sites(self) -> Iterator[tuple[int, Site]]:
        """All registers, with their places in a state."""
        return ((place, self.site(place)) for place in range(self.size))

    def rtl(self, site: Site, bit: int) -> tuple[str, str, int, int]:
        """Scope, name and width of the RTL's register that a site's bit is in, and which of its bits it is."""
        field, widths = site.field, self.widths
        if field.where == ELEMENT:
            return f"g_col[{site.column}].g_row[{site.row}].u_pe", field.rtl, field.bits, bit
        if field.where == COLUMN:
            return f"g_col[{site.column}]", field.rtl, self.rows, site.row
        if field.where == REACH:
            return f"g_col[{site.column}].g_row[{site.row}].g_reach", field.rtl, 1, 0
        if field.where == ACROSS:
            width = widths.a + (4 if self.stays == RESULT else 2)
            return f"g_lane_a[{site.row}].u_skew.g_chain", field.rtl, width * site.row, site.column * width + field.low + bit
        width = widths.b + (1 if self.stays == RESULT else 2)
        scope = f"g_lane_b[{site.column}]" if self.stays == RESULT else f"g_col[{site.column}]"
        return f"{scope}.u_skew.g_chain", field.rtl, width * site.column, site.row * width + field.low + bit


def chain_of(place: int) -> tuple[int, int]:
    """Lane and age of a register among chains of 1, 2, … registers (lane 0 has none)."""
    lane = 1
    while place >= lane:
        place -= lane
        lane += 1
    return lane, place


def chain_place(lane: int, age: int) -> int:
    """And back."""
    return lane * (lane - 1) // 2 + age
