"""What a process of a trial's fit does."""

import os
from collections.abc import Sequence

from lightning_app.recipes.child import end_with_parent


def run_fit(arguments: Sequence[str], log: str) -> None:
    """Run `glint` in this process and end it with its exit code.

    Args:
        arguments: Behind `glint`.
        log: File that its output is added to.
    """
    prepare = end_with_parent(os.getppid())
    if prepare is not None:
        prepare()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(output, stream)
    from lightning_app.__main__ import main

    raise SystemExit(main(list(arguments)))
