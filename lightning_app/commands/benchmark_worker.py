"""A worker of `glint benchmark`: a process that holds one artifact and computes when asked."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

_KIB = 1024


def main(arguments: str) -> None:
    """Load, then answer one request a line, as JSON, until there are no more.

    Args:
        arguments: JSON of those of `Runner`.
    """
    bare = peak_memory()
    replies = _claim_output()
    from lightning_app.errors import InputError

    try:
        runner = _runner(json.loads(arguments))
        _send(replies, {"memory": peak_memory() - bare})
        for line in sys.stdin:
            request = json.loads(line)
            # Of the process as it is, not of what the answer allocates.
            answer = {} if request["do"] == "memory" else runner.answer(request)
            _send(replies, {**answer, "memory": peak_memory() - bare})
    except InputError as error:
        _send(replies, {"mistake": str(error)})


def peak_memory() -> int:
    """The most that this process has held in memory, in bytes."""
    try:
        status = Path("/proc/self/status").read_text("utf-8")
    except OSError:  # not on Linux
        status = ""
    # What `getrusage` says is on Linux at least what the parent held when it started this one.
    if found := re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE):
        return int(found[1]) * _KIB
    import resource

    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * _KIB


def _runner(arguments: dict[str, Any]) -> Any:
    from lightning_app.commands.benchmark_runner import Contender, Runner
    from lightning_app.quiet import silence_noise

    silence_noise()
    contender = Contender(**arguments.pop("contender"))
    return Runner(contender, **arguments)


def _claim_output() -> Any:
    """Standard output for replies alone; what libraries print goes where errors go."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return replies


def _send(replies: Any, reply: dict[str, Any]) -> None:
    replies.write(json.dumps(reply) + "\n")
    replies.flush()


if __name__ == "__main__":
    main(sys.argv[1])
