"""The counting conventions on which tools differ, as one frozen option set that is recorded in every evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from accelsim.errors import InputError, did_you_mean

CHOICES: dict[str, tuple[str, ...]] = {
    "drains": ("charged", "free"),
    "returned_partials": ("one", "every_member"),
    "first_touch": ("parent", "child"),
    "footprint": ("touched", "box"),
    "refill": ("delta", "every_visit"),
}


@dataclass(frozen=True, slots=True)
class Counting:
    """How words are counted; the first value of each choice is the default.

    `drains`: whether sending a result outwards reads the memory that sends it. `returned_partials`: whether a partial result that
    comes back to copies whose results are reduced fills one of them or every one. `first_touch`: a sum is begun, and reads nothing, when
    its first words come to a memory, or also when copies that are reduced together send their first words there. `footprint`: a tile is
    the coordinates touched, or the box around them. `refill`: a visit moves only what the last visit did not hold, or the whole tile.
    """

    drains: str = "charged"
    returned_partials: str = "one"
    first_touch: str = "parent"
    footprint: str = "touched"
    refill: str = "delta"

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if value not in CHOICES[option.name]:
                choices = CHOICES[option.name]
                raise InputError(f"counting option '{option.name}' cannot be '{value}'", did_you_mean(str(value), choices))

    @classmethod
    def from_text(cls, options: Mapping[str, str]) -> Counting:
        """The options given by name, the defaults for the others; an unknown name or value is an InputError."""
        for name in options:
            if name not in CHOICES:
                raise InputError(f"there is no counting option '{name}'", did_you_mean(name, CHOICES))
        return cls(**dict(options))

    def to_json(self) -> dict[str, str]:
        """The options by name, as an evaluation records them."""
        return asdict(self)
