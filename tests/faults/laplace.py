"""Weights like those of layers, the codec of an NPU's compiler, and shares of what flips do."""

from __future__ import annotations

import os
from typing import NoReturn

import numpy as np

from accelsim.faults.streams import StreamEffects, Undecodable


def laplace(many: int, seed: int = 0) -> np.ndarray:
    """Laplace weights of scale 8, in 8 bits."""
    return np.clip(np.rint(np.random.default_rng(seed).laplace(0, 8, many)), -127, 127).astype(np.int64)


class NpuCodec:
    """That of the wheel `ethos-u-vela`, which says itself how many weights come."""

    def encode(self, weights: np.ndarray) -> bytes:
        """As the compiler does."""
        from ethosu import mlw_codec

        return bytes(mlw_codec.encode(weights.tolist()))

    def decode(self, stream: bytes, count: int) -> np.ndarray:
        """In a process of its own, which it ends where a stream runs out."""
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            _decode(stream, write)
        os.close(write)
        with os.fdopen(read, "rb") as source:
            found = source.read()
        _, status = os.waitpid(child, 0)
        if status:
            raise Undecodable(f"the codec ended with status {status}")
        return np.frombuffer(found, np.int64)


def _decode(stream: bytes, write: int) -> NoReturn:
    """Weights go into a pipe; the process ends."""
    try:
        from ethosu import mlw_codec

        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        with os.fdopen(write, "wb") as target:
            target.write(np.array(mlw_codec.decode(bytearray(stream)), np.int64).tobytes())
        os._exit(0)
    finally:
        os._exit(1)


def shares(found: StreamEffects) -> list[float]:
    """Of flips that the decoder sees, that change one weight, and that change more than ten."""
    wrong = found.wrong
    return [float(each.mean()) for each in (found.detected, wrong == 1, wrong > 10)]
