"""Named arrays of whole numbers from NumPy's `.npz` files."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

from accelsim.errors import InputError

_MOST_BYTES = 1 << 30


def load_arrays(path: Path) -> dict[str, Any]:
    """The arrays of a file by name, int64. InputError for what is no such file, other than whole numbers, and more than 1 GiB."""
    import numpy as np

    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(each.file_size for each in archive.infolist())
        if size > _MOST_BYTES:
            raise InputError(f"{path}: holds {size / 2**30:.1f} GiB", "give at most 1 GiB")
        with np.load(path, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
    except FileNotFoundError:
        raise InputError(f"there is no file {path}", "name a .npz file") from None
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error):
        raise InputError(f"{path}: no file of NumPy arrays", "write it with numpy.savez") from None
    for name, array in found.items():
        if array.dtype.kind not in "iub":
            raise InputError(f"{path}: '{name}' holds {array.dtype}, not whole numbers", "write it as integers")
        if array.dtype == np.uint64 and array.size and array.max() >= 1 << 63:
            raise InputError(f"{path}: '{name}' holds {array.max()}, beyond 63 bits", "write smaller numbers")
    return {name: array.astype(np.int64) for name, array in found.items()}
