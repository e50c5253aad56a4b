"""A reader of the FST form: times and names of signals, not their values.

Source: fstapi.c of GTKWave, "An Unofficial FST File Format Specification" (Hutchings). Numbers are big-endian.
"""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path

_HEADER, _PACKED_NAMES, _LZ4_NAMES = 0, 4, 6  # kinds of blocks
_SCOPE, _END_OF_SCOPE, _ATTRIBUTE, _END_OF_ATTRIBUTE = 254, 255, 252, 253


@dataclass(frozen=True)
class Waves:
    """First and last time in units of `10**exponent` s, and the signals, as `TOP.u_top.taken_o`."""

    start: int
    end: int
    exponent: int
    names: frozenset[str]


def read(file: Path) -> Waves:
    """Waves of a file that was closed."""
    data, at, blocks = file.read_bytes(), 0, {}
    while at < len(data):
        (size,) = struct.unpack_from(">Q", data, at + 1)
        blocks[data[at]] = data[at + 9 : at + 1 + size]
        at += 1 + size
    assert at == len(data)
    start, end = struct.unpack_from(">QQ", blocks[_HEADER])
    (exponent,) = struct.unpack_from(">b", blocks[_HEADER], 64)
    (size,) = struct.unpack_from(">Q", blocks.get(_PACKED_NAMES) or blocks[_LZ4_NAMES])
    text = gzip.decompress(blocks[_PACKED_NAMES][8:]) if _PACKED_NAMES in blocks else _unpacked(blocks[_LZ4_NAMES][8:])
    assert len(text) == size
    return Waves(start, end, exponent, frozenset(_names(text)))


def _names(text: bytes) -> list[str]:
    """Names of all signals, with the scopes around them."""
    found, scopes, at = [], [], 0

    def word() -> str:
        nonlocal at
        stop = text.index(b"\0", at)
        this, at = text[at:stop].decode(), stop + 1
        return this

    def number() -> int:
        nonlocal at
        this, shift = 0, 0
        while True:
            this |= (text[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if not text[at - 1] & 128:
                return this

    while at < len(text):
        kind = text[at]
        at += 1
        if kind == _SCOPE:
            at += 1
            scopes.append(word())
            word()  # the module's name
        elif kind == _END_OF_SCOPE:
            scopes.pop()
        elif kind == _ATTRIBUTE:
            at += 2
            word()
            number()
        elif kind != _END_OF_ATTRIBUTE:
            at += 1  # its direction
            found.append(".".join([*scopes, word().split(" ")[0]]))
            number(), number()  # its bits, and what it is another name of
    assert not scopes
    return found


def _unpacked(data: bytes) -> bytes:
    """A block of LZ4."""
    found, at = bytearray(), 0

    def length(low: int) -> int:
        nonlocal at
        more = low == 15
        while more:
            low, more, at = low + data[at], data[at] == 255, at + 1
        return low

    while True:
        token, at = data[at], at + 1
        size = length(token >> 4)
        found += data[at : at + size]
        at += size
        if at >= len(data):
            return bytes(found)
        back, at = data[at] | data[at + 1] << 8, at + 2
        for _ in range(length(token & 15) + 4):
            found.append(found[-back])
