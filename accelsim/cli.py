"""The command line: arguments to verbs, errors to one line and an exit code, nothing more."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from accelsim.errors import AccelsimError, InputError, did_you_mean

if TYPE_CHECKING:
    from accelsim.commands.arguments import Arguments

INTERNAL_ERROR = 70
INTERRUPTED = 130
MOST_CHARACTERS = 1000
ROUNDER = "make the shape smaller, or clocks and bandwidths rounder"  # those that share no divisor take long fractions
_LONG = re.compile(r"\S{256,}")  # words longer than any name of a file


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0, 1 no legal mapping or a failed check, 2 bad input, 70 a fault of accelsim."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
        return code
    except AccelsimError as error:
        return _fail(one_line(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted before anything was found", INTERRUPTED)
    except MemoryError:
        return _fail("too large: the memory of this computer does not suffice; make the shape smaller", 2)
    except OverflowError:
        return _fail(f"too large: a number leaves the range that accelsim counts in; {ROUNDER}", 2)
    except RecursionError:
        return _fail("nested too deeply; write it with fewer levels", 2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _fail(f"cannot write the result: {error.strerror or error}; check where the output goes", 2)
    except Exception as error:
        if os.environ.get("ACCELSIM_DEBUG"):
            raise
        return _fail(f"internal error: {type(error).__name__}: {error}; set ACCELSIM_DEBUG=1 to see where, and report it", INTERNAL_ERROR)


def one_line(error: AccelsimError) -> str:
    """An error as one line, whatever the input held; the line of the file with a caret under it follows where there is one."""
    what, mend = (_LONG.sub(lambda word: word[0][:80] + "…", text) for text in (error.what, error.mend))
    text = _printable(" ".join(str(AccelsimError(what, mend, error.place)).split()))
    if len(text) > MOST_CHARACTERS:
        text = text[: MOST_CHARACTERS - 1] + "…"
    return "\n".join([text, *map(_printable, error.excerpt.splitlines())])


def _printable(line: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in line)


def _fail(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


def _dispatch(arguments: list[str]) -> int:
    if arguments[:2] == ["completion", "--words"] and len(arguments) == 3:  # asked for at every press of a key: without the grammar
        from accelsim.commands.completing import words_of

        print("\n".join(words_of(arguments[2])))
        return 0
    from accelsim.commands.parser import parser

    top, known = parser()
    first = arguments[0] if arguments else "--help"
    if not first.startswith("-") and first not in known:
        raise InputError(f"there is no command '{first}'", did_you_mean(first, known))
    try:
        parsed, unknown = top.parse_known_args(arguments or ["--help"])
    except SystemExit as leaving:  # --help and --version
        return int(leaving.code or 0)
    if unknown:
        command = known.get(parsed.command or "", top)
        options = [option for action in command._actions for option in action.option_strings]
        if unknown[0].startswith("-"):
            name = unknown[0].partition("=")[0]
            raise InputError(f"{command.prog} has no option '{name}'", did_you_mean(name, options))
        raise InputError(f"{command.prog} does not expect '{unknown[0]}'", f"see `{command.prog} --help`")
    draw = getattr(parsed, "draw", None)
    if draw is not None and not draw.lower().endswith((".png", ".svg", ".pdf")):
        raise InputError(f"--draw {draw}: not a kind of picture", "end the name in .png, .svg or .pdf")
    html = getattr(parsed, "html", None)
    if html == "-":
        raise InputError("--html -: a page goes into a file", "name one, as in --html report.html")
    _refuse_unwritable("-o", getattr(parsed, "output", None), folder_too=parsed.command == "map")
    for option, target in (("--json", parsed.json), ("--draw", draw), ("--html", html)):
        _refuse_unwritable(option, target)
    if html is not None and parsed.json not in (None, "-") and os.path.realpath(html) == os.path.realpath(parsed.json):
        raise InputError(f"{html}: page and JSON do not go into one file", "name two files")
    verb: Callable[[Arguments], int] = parsed.verb
    return verb(parsed)


def _refuse_unwritable(option: str, target: str | None, folder_too: bool = False) -> None:
    """An InputError before any work is done if a file to be written cannot be."""
    if target is None or target == "-":
        return
    if not target.strip():
        raise InputError(f"{option} '{target}': names no file", f"write the name of a file, or leave {option} out")
    folder = os.path.dirname(target) or "."
    if not os.path.isdir(folder):
        raise InputError(f"{target}: there is no folder '{folder}'", "create it or name another")
    if os.path.isdir(target) and not folder_too:
        raise InputError(f"{target}: is a folder", "name a file")
    if not os.access(target if os.path.exists(target) else folder, os.W_OK):
        raise InputError(f"{target}: cannot write there", "name another file")
