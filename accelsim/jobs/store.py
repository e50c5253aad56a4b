"""Results on disk by what they were made from, so that equal work is done once; safe under concurrent runs and kill -9."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import tempfile
import time
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from accelsim import __version__
from accelsim.errors import InputError

SCHEMA = "accelsim/store/1"
_KEY = re.compile(r"[0-9a-f]{64}")
_ENTRY = re.compile(r"([0-9a-f]{64})\.json")
_TEMPORARY = re.compile(r"[0-9a-f]{64}\.[0-9a-f]{16}\.tmp")
_STALE_S = 3600.0


def content_key(*parts: object) -> str:
    """SHA-256, in 64 hexadecimal digits, of what a result is made from: the parts in order, and all source text of accelsim.

    Parts are nouns (frozen dataclasses, by class and fields), dicts, tuples, frozensets, strings, numbers, Fractions and None; anything
    else is a TypeError. Types count (2, 2.0 and Fraction(2) differ). Fields that do not take part in equality (places in files) do not.
    The order of a dict counts: a search tries ranks in the order of `extents`, and cascades that are equal but for it get different
    mappings. Where order has no meaning, pass `frozenset(options.items())`.
    """
    return hashlib.sha256(_encoded((SCHEMA, __version__, _source_digest(), parts))).hexdigest()


def digest(values: Any) -> str:
    """An array as a part of a `content_key`: its dtype, its shape and the SHA-256 of its words."""
    import numpy as np

    array = np.ascontiguousarray(values)
    return f"{array.dtype.str}{array.shape}{hashlib.sha256(array.tobytes()).hexdigest()}"


def _encoded(value: object) -> bytes:
    """A value as class, length and content, so that different values never read the same."""
    kind: Any = type(value)
    content = (_CONTENTS.get(kind) or _dataclass(kind))(value)
    return b"%b:%d:%b" % (_name(kind), len(content), content)


@cache
def _name(kind: type[Any]) -> bytes:
    return f"{kind.__module__}.{kind.__qualname__}".encode()


@cache
def _dataclass(kind: type[Any]) -> Callable[[Any], bytes]:
    """The content of a frozen dataclass: a pair of name and value for each field that takes part in equality."""
    if not is_dataclass(kind) or not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise TypeError(f"a {kind.__module__}.{kind.__qualname__} has no content key")
    names = [(field.name, _encoded(field.name)) for field in fields(kind) if field.compare]

    def content(value: Any) -> bytes:
        pairs = (name + _encoded(getattr(value, attribute)) for attribute, name in names)
        return b"".join(b"builtins.tuple:%d:%b" % (len(pair), pair) for pair in pairs)

    return content


def _text(value: Any) -> bytes:
    return str(value).encode("utf-8", "surrogatepass")


_CONTENTS: dict[type, Callable[[Any], bytes]] = {
    **dict.fromkeys((type(None), bool, str, Fraction), _text),
    int: lambda value: b"%x" % value,  # decimal digits are limited
    float: lambda value: value.hex().encode(),
    tuple: lambda value: b"".join(map(_encoded, value)),
    dict: lambda value: b"".join(map(_encoded, value.items())),
    frozenset: lambda value: b"".join(sorted(map(_encoded, value))),
}


@cache
def _source_digest() -> str:
    """Digest of every Python file of accelsim: what computes a result uses most of them, and a needless miss costs only time."""
    package = Path(__file__).parent.parent
    found = hashlib.sha256()
    for source in sorted(package.rglob("*.py")):
        found.update(_encoded((source.relative_to(package).as_posix(), hashlib.sha256(source.read_bytes()).hexdigest())))
    return found.hexdigest()


class Store:
    """A folder with one file per result; it may be shared by any number of runs and deleted at any time.

    The folder is made if it is missing; one that cannot be written is an InputError. An entry is written beside its final name and
    renamed once it is on the disk: whoever reads finds all of it or what was there before. What killed writers left is removed by
    the first store that is opened an hour later.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        try:
            os.makedirs(self.folder, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
            self._remove_stale()
        except (OSError, ValueError) as error:
            raise _refused(self.folder, "keep results", error, "choose a folder that can be written") from None

    def get(self, key: str) -> dict[str, Any] | None:
        """The document kept under a key of `content_key`, None if there is none or if its file is damaged or of another origin."""
        path = self._path(key)
        try:
            data = path.read_bytes() if path.is_file() else b""
            document = json.loads(data)["document"]
            return document if isinstance(document, dict) and _entry(key, document) == data else None
        except (OSError, ValueError, TypeError, LookupError, RecursionError, MemoryError):
            return None

    def put(self, key: str, document: dict[str, Any]) -> None:
        """Keep a document under a key of `content_key`, in place of what is there.

        A document that JSON would change (tuples, keys that are no text, nan) is a ValueError and one that it cannot hold a TypeError;
        what the system refuses (a full disk, a folder that is gone or read-only) is an InputError and leaves the earlier entry as it was.
        """
        path = self._path(key)
        data = _entry(key, document)
        if json.loads(data)["document"] != document:
            raise ValueError("a document must be plain JSON: dicts with text keys, lists, text, finite numbers, true, false and null")
        temporary = self.folder / f"{key}.{secrets.token_hex(8)}.tmp"
        try:
            with temporary.open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
        except OSError as error:
            raise _refused(path, "write", error, "free space there or choose another folder") from None
        finally:
            with contextlib.suppress(OSError):  # renamed already, or as unwritable as the entry
                os.unlink(temporary)

    def entries(self) -> dict[str, int]:
        """Bytes of every entry's file by key, damaged ones included, sorted by key."""
        try:
            names = sorted(os.listdir(self.folder))
        except OSError as error:
            raise _refused(self.folder, "read", error, "check the path") from None
        found = {}
        for match in filter(None, map(_ENTRY.fullmatch, names)):
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                found[match[1]] = os.stat(self.folder / match[0]).st_size
        return found

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"'{key}' is no key of content_key")
        return self.folder / f"{key}.json"

    def _remove_stale(self) -> None:
        for name in filter(_TEMPORARY.fullmatch, os.listdir(self.folder)):
            with contextlib.suppress(OSError):  # another run removes it too, or it belongs to someone else
                if time.time() - os.stat(self.folder / name).st_mtime > _STALE_S:
                    os.unlink(self.folder / name)


def _entry(key: str, document: dict[str, Any]) -> bytes:
    """The whole file of an entry; reading one means making it again and comparing every byte."""
    text = json.dumps(document, allow_nan=False)
    checksum = hashlib.sha256(text.encode()).hexdigest()
    return f'{{"schema": "{SCHEMA}", "key": "{key}", "sha256": "{checksum}", "document": {text}}}\n'.encode()


def _refused(path: Path, verb: str, error: Exception, mend: str) -> InputError:
    return InputError(f"{path}: cannot {verb}: {getattr(error, 'strerror', None) or error}", mend)
