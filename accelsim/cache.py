"""Files kept between runs in the user's cache directory; one that cannot be read or written costs time, never an error."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

_DIGEST_BYTES = 32


def folder() -> Path:
    """The folder of accelsim in the user's cache directory; it need not exist or be writable."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path(os.path.expanduser("~")) / ".cache")
    return Path(home) / "accelsim"


def kept(kind: str, key: str, make: Callable[[], bytes]) -> bytes:
    """What `make` returned in this or an earlier run; `key` holds all that the bytes depend on.

    A file starts with the SHA-256 of its bytes, so that a damaged one counts as none.
    """
    file = folder() / f"{kind}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    with contextlib.suppress(OSError):
        found = file.read_bytes()
        digest, content = found[:_DIGEST_BYTES], found[_DIGEST_BYTES:]
        if hashlib.sha256(content).digest() == digest:
            return content
    content = make()
    _write(file, hashlib.sha256(content).digest() + content)
    return content


def _write(file: Path, content: bytes) -> None:
    """Put a whole file in place at once: runs beside this one see the old file or the new one."""
    part = file.with_name(f"{file.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content)
            os.replace(part, file)
        except OSError:
            part.unlink(missing_ok=True)
