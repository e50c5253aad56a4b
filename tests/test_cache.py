"""Files in the user's cache directory are made once; one that is damaged, or cannot be kept, is made again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from accelsim.cache import kept

CONTENT = b"tables"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache directory of a user."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


class Maker:
    """Makes the content and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> bytes:
        self.times += 1
        return CONTENT


def test_content_is_made_once_and_again_for_another_key(home: Path) -> None:
    make = Maker()
    assert [kept("grammar", "one", make), kept("grammar", "one", make), make.times] == [CONTENT, CONTENT, 1]
    assert [kept("grammar", "two", make), make.times] == [CONTENT, 2]
    assert len(list((home / "accelsim").iterdir())) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda found: b"",
        lambda found: b"no digest",
        lambda found: found[:-1],
        lambda found: found + b"x",
        lambda found: found[:-1] + bytes([found[-1] ^ 1]),
        lambda found: bytes([found[0] ^ 1]) + found[1:],
    ],
)
def test_damaged_file_is_made_again_and_mended(home: Path, damage: Callable[[bytes], bytes]) -> None:
    make = Maker()
    kept("grammar", "one", make)
    (file,) = (home / "accelsim").iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert [kept("grammar", "one", make), make.times, file.read_bytes()] == [CONTENT, 2, whole]


def test_folder_that_cannot_be_made_is_no_error(home: Path) -> None:
    (home / "accelsim").write_text("a file where the folder would be")
    make = Maker()
    assert [kept("grammar", "one", make), kept("grammar", "one", make), make.times] == [CONTENT, CONTENT, 2]


def test_write_that_fails_leaves_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.replace", full)
    assert kept("grammar", "one", Maker()) == CONTENT
    assert list((home / "accelsim").iterdir()) == []
