"""Run `python -m lightning_app` in a fork of a process that has imported everything already.

Of a command that takes ten seconds, eight are imports. The child does what the interpreter does for
`-m`, in a process of its own that is forked before anything but imports has happened.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import TemporaryDirectory

_IMPORTED = (
    "lightning_app.cli",
    "lightning_app.commands.export",
    "datasets",
    "torch.utils.tensorboard",
    "torchao",
    "transformers.models.bert.modeling_bert",
    "transformers.models.bert.tokenization_bert",
)


def run_forked(
    arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """What `subprocess.run` of the command would give.

    Args:
        arguments: Of the command.
        cwd: Its working directory.
        environment: All of its variables; those that are read by imports are this process's.
    """
    with TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        task = (list(arguments), str(cwd), dict(environment), str(out), str(err))
        process = _server().Process(target=_run, args=task)
        process.start()
        process.join()
        texts = [p.read_text("utf-8", "replace") if p.exists() else "" for p in (out, err)]
    assert process.exitcode is not None
    return subprocess.CompletedProcess(list(arguments), process.exitcode, *texts)


@cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *_IMPORTED])
    return context


def _run(arguments: list[str], cwd: str, environment: dict[str, str], out: str, err: str) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for path, stream in ((os.devnull, 0), (out, 1), (err, 2)):
        flags = os.O_RDONLY if stream == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(path, flags, 0o600), stream)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.argv = ["-m", *arguments]
    sys.path[0:1] = [cwd]
    try:
        runpy.run_module("lightning_app", run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()
