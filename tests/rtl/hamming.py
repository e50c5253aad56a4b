"""Extended Hamming codes from their definition: parities of places, and the nearest code word."""

from __future__ import annotations


def check_bits(width: int) -> int:
    """The fewest check bits whose places, less 0, hold these bits of data and themselves."""
    return next(count for count in range(1, 64) if 2**count - 1 - count >= width)


def code_bits(width: int) -> int:
    """Bits of a code word."""
    return width + check_bits(width) + 1


def data_places(width: int) -> list[int]:
    """Places of the bits of data: those that are no power of two."""
    return [place for place in range(3, code_bits(width)) if place.bit_count() > 1]


def encoded(data: int, width: int) -> int:
    """The code word of some data."""
    word = sum((data >> bit & 1) << place for bit, place in enumerate(data_places(width)))
    for check in range(check_bits(width)):
        covered = sum(1 << place for place in range(1, code_bits(width)) if place >> check & 1)
        word |= ((word & covered).bit_count() & 1) << (1 << check)
    return word | (word.bit_count() & 1)


def data_of(word: int, width: int) -> int:
    """The bits of data of a code word, right or wrong."""
    return sum((word >> place & 1) << bit for bit, place in enumerate(data_places(width)))


def is_code(word: int, width: int) -> bool:
    """Whether all parities are even."""
    return encoded(data_of(word, width), width) == word


def decoded(word: int, width: int) -> tuple[int, bool, bool]:
    """Data and flags, single and double, by search of the code word that differs in at most one bit."""
    if is_code(word, width):
        return data_of(word, width), False, False
    for place in range(code_bits(width)):
        if is_code(word ^ (1 << place), width):
            return data_of(word ^ (1 << place), width), True, False
    return data_of(word, width), False, True
