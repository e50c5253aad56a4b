"""`accelsim completion SHELL`: a script that completes commands, options, and the names of what is shipped.

Commands and options stand in the script. Names are asked for as they are needed (`accelsim completion --words archs`), so that a newer
catalogue needs no new script; that way imports next to nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from accelsim.errors import InputError, did_you_mean

# What may stand for a metavar, as words of the catalogue (`names`), or as words that are known here.
_NAMED = {"WORKLOAD": "workloads", "MACHINE": "archs", "MAPPING": "mappings", "CAMPAIGN": "campaigns", "SWEEP": "sweeps"}
_FIXED: dict[str, tuple[str, ...]] = {
    "--objective": ("latency", "energy", "edp", "traffic"),
    "--schedule": ("sequential", "pipelined"),
    "--tiles": ("any", "dividing"),
    "--pareto": ("latency,energy", "latency,capacity", "energy,capacity", "latency,energy,capacity", "traffic,capacity"),
    "--phase": ("prefill", "decode", "both"),
    "--counting": ("drains=", "returned_partials=", "first_touch=", "footprint=", "refill="),
    "--unsupported": ("refuse", "count"),
    "--layers": ("merged", "each", "one"),
    "SHELL": ("bash", "zsh", "fish"),
}
_EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a command: how it is written, what it is about, whether a value follows, and what that may be."""

    words: tuple[str, ...]
    about: str
    takes: bool
    values: str = ""  # words, or $(…) that prints them; "" is a file


@dataclass(frozen=True, slots=True)
class Command:
    """A command with its options, and what its operands may be."""

    name: str
    about: str
    options: tuple[Option, ...]
    operands: str


def words_of(kind: str) -> list[str]:
    """Names that are shipped of a kind, by the word of `accelsim list`; or the kinds themselves."""
    from accelsim.io.catalogue import KINDS, names

    kinds = {each.plural: each for each in KINDS}
    if kind == "kinds":
        return list(kinds)
    if kind == "schemas":
        from accelsim.io.shipped_schemas import schema_files

        return list(schema_files())
    if kind == "every":
        return sorted({name for each in KINDS for name in names(each)})
    if kind not in kinds:
        raise InputError(f"there are no words for '{kind}'", did_you_mean(kind, [*kinds, "kinds", "schemas", "every"]))
    return names(kinds[kind])


def commands_of(parsers: Mapping[str, argparse.ArgumentParser]) -> list[Command]:
    """The commands of a grammar."""
    found = []
    for name, parser in parsers.items():
        options, operands = [], ""
        for action in parser._actions:
            metavar = action.metavar if isinstance(action.metavar, str) else ""
            if action.option_strings:
                about = (action.help or "").replace("%%", "%")
                takes = action.nargs != 0
                options.append(Option(tuple(action.option_strings), about, takes, _values(name, action.option_strings[-1], metavar)))
            elif not operands:
                operands = _values(name, metavar, metavar)
        found.append(Command(name, parser.description or "", tuple(options), operands))
    return found


def _values(command: str, option: str, metavar: str) -> str:
    if option in _FIXED:
        return " ".join(_FIXED[option])
    if command == "list" and metavar == "KIND":
        return _asked("kinds")
    if command == "schema" and metavar == "KIND":
        return _asked("schemas")
    if command == "reproduce" and metavar == "NAME":
        return _asked(_EVIDENCE)
    if command == "check" and metavar == "FILE":
        return _asked("every")
    return _asked(_NAMED[metavar]) if metavar in _NAMED else ""


def _asked(kind: str) -> str:
    return f"$(accelsim completion --words {kind} 2>/dev/null)"


def bash(commands: list[Command]) -> Iterator[str]:
    """The script for bash."""
    yield '# accelsim: completion for bash. Put into ~/.bashrc: eval "$(accelsim completion bash)"'
    yield "_accelsim() {"
    yield '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" verb="${COMP_WORDS[1]}" known=""'
    yield "  COMPREPLY=()"
    yield from _cases(commands, '[ "$COMP_CWORD" -eq 1 ]')
    yield '  [ -n "$known" ] && COMPREPLY=($(compgen -W "$known" -- "$cur"))'
    yield "  return 0"
    yield "}"
    yield "complete -o bashdefault -o default -F _accelsim accelsim"


def zsh(commands: list[Command]) -> Iterator[str]:
    """The script for zsh."""
    yield "#compdef accelsim"
    yield '# accelsim: completion for zsh. Put into ~/.zshrc, after compinit: eval "$(accelsim completion zsh)"'
    yield "_accelsim() {"
    yield '  local cur="$words[CURRENT]" prev="$words[CURRENT-1]" verb="$words[2]" known=""'
    yield from _cases(commands, "[ $CURRENT -eq 2 ]")
    yield '  if [ -n "$known" ]; then compadd -- ${=known}; else _files; fi'
    yield "}"
    yield "compdef _accelsim accelsim"


def _cases(commands: list[Command], first: str) -> Iterator[str]:
    """Which words may stand where, for bash and zsh alike; `known` stays empty for files."""
    yield f"  if {first}; then"
    yield f'    known="{" ".join(command.name for command in commands)} --help --version"'
    yield "  else"
    yield '    case "$verb $prev" in'
    for command in commands:
        for option in command.options:
            if option.takes:
                shown = "|".join(f'"{command.name} {word}"' for word in option.words)
                yield f'      {shown}) known="{option.values}" ;;'
    yield '      *) case "$verb $cur" in'
    for command in commands:
        options = " ".join(word for option in command.options for word in option.words)
        yield f'        "{command.name} -"*) known="{options}" ;;'
        if command.operands:
            yield f'        "{command.name} "*) known="{command.operands}" ;;'
    yield "      esac ;;"
    yield "    esac"
    yield "  fi"


def fish(commands: list[Command]) -> Iterator[str]:
    """The script for fish."""
    yield "# accelsim: completion for fish. accelsim completion fish > ~/.config/fish/completions/accelsim.fish"
    for command in commands:
        yield f"complete -c accelsim -n __fish_use_subcommand -x -a {command.name} -d {_quoted(command.about)}"
    for command in commands:
        here = f"complete -c accelsim -n '__fish_seen_subcommand_from {command.name}'"
        if command.operands:
            yield f"{here} -a {_in_fish(command.operands)}"
        for option in command.options:
            names = " ".join(f"-l {word[2:]}" if word.startswith("--") else f"-s {word[1:]}" for word in option.words)
            takes = "" if not option.takes else f" -x -a {_in_fish(option.values)}" if option.values else " -r"
            yield f"{here} {names}{takes} -d {_quoted(option.about)}"


def _in_fish(values: str) -> str:
    """The words as fish asks for them: `(command)` in place of `$(command)`."""
    return "'" + (values[1:] if values.startswith("$(") else values) + "'"


def _quoted(text: str) -> str:
    text = text if len(text) <= 60 else text[:59] + "…"
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS: dict[str, Callable[[list[Command]], Iterator[str]]] = {"bash": bash, "zsh": zsh, "fish": fish}


def completion_(arguments: argparse.Namespace) -> int:
    if arguments.words is not None:
        print("\n".join(words_of(arguments.words)))
        return 0
    if arguments.shell is None:
        raise InputError("accelsim completion needs a shell", "write accelsim completion bash, zsh or fish")
    if arguments.shell not in SHELLS:
        raise InputError(f"there is no script for '{arguments.shell}'", did_you_mean(arguments.shell, SHELLS))
    print("\n".join(SHELLS[arguments.shell](commands_of(arguments.grammar()))))
    return 0
