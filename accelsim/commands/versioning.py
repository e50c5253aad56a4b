"""The verbs about file formats: `schema`, which shows what a kind of file may hold, and `migrate`, which rewrites old files.

Everything heavy is imported inside the function that uses it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accelsim.commands.answers import give, give_blocks
from accelsim.commands.arguments import Arguments, settings_of
from accelsim.errors import InputError


def schema_(arguments: Arguments) -> int:
    from accelsim.io.evaluation import write_text
    from accelsim.io.shipped_schemas import schema_files, schema_text

    settings_of(arguments).refuse("workload", "arch", "mapping")
    if arguments.kind is None:
        if arguments.output is not None:
            raise InputError("-o: no kind is named", "write accelsim schema workload -o FILE")

        def blocks(files: dict[str, str]) -> Any:
            from accelsim.report.terminal import listing

            yield from listing(files)

        return give_blocks(arguments, {kind: str(path) for kind, path in schema_files().items()}, blocks)
    text = schema_text(arguments.kind)
    if arguments.output is not None:
        write_text(text, arguments.output)
        return 0
    if arguments.json is not None:
        import json

        return give(arguments, json.loads(text), lambda: print(text, end=""))
    if not arguments.quiet:
        print(text, end="")
    return 0


def migrate_(arguments: Arguments) -> int:
    from accelsim.io.catalogue import refuse_result
    from accelsim.io.evaluation import write_text
    from accelsim.io.migrations import migrate

    settings_of(arguments).refuse("workload", "arch", "mapping")
    refuse_result(Path(arguments.file), arguments.file)
    found = migrate(Path(arguments.file))
    if arguments.output is not None:
        write_text(found.text, arguments.output)
    document = {
        "schema": "accelsim/migrate/1",
        "file": arguments.file,
        "kind": found.kind,
        "before": found.before,
        "after": found.after,
        "text": found.text,
    }
    if arguments.output is None:
        return give(arguments, document, lambda: print(found.text, end=""))

    def blocks(document: dict[str, Any]) -> Any:
        before = "said no version" if found.before is None else f"was version {found.before}"
        yield f"{arguments.file}: the {found.kind} {before}; {arguments.output} is version {found.after}"

    return give_blocks(arguments, document, blocks)
