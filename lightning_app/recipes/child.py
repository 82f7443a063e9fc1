"""Commands of a recipe, each in a process of its own that ends with ours."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import lightning_app
from lightning_app.errors import InputError

LOG = "log.txt"
_SHOWN_LINES = 15
_OURS = "glint: "
_PARENT_DEATH_SIGNAL = 1  # of Linux' prctl
_STOPPED = 128 + signal.SIGTERM  # what a shell says of a process that SIGTERM has ended


def run_command(
    arguments: Sequence[str], folder: Path, codes: Sequence[int] = (0,), quiet: bool = False
) -> None:
    """Run `glint` with these arguments; its output is shown on a terminal, else kept in a file.

    SIGTERM is handed on to it: a fit saves and stops.

    Args:
        arguments: Behind `glint`.
        folder: Where `log.txt` goes.
        codes: Exit codes that are no failure.
        quiet: Not on the terminal, either.

    Raises:
        InputError: If it fails, with the end of what it said.
        SystemExit: If it has stopped for SIGTERM, with status 143.
    """
    # -P: the working directory, where users keep their callbacks, shadows nothing of ours.
    command = [sys.executable, "-P", "-m", "lightning_app", *arguments]
    shown = sys.stdout.isatty() and not quiet
    with (folder / LOG).open("a", encoding="utf-8") as log:
        log.write(f"$ glint {' '.join(arguments)}\n")
        log.flush()
        output = None if shown else log
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            env={**os.environ, **own_path()},
            preexec_fn=end_with_parent(os.getpid()),
        )
        with _ended(process), _sigterm_to(process) as told:
            code = process.wait()
    # It may have come to its end just when it was told: the next command must not begin.
    if code in (_STOPPED, -signal.SIGTERM) or (told and code in codes):
        sys.stderr.write("glint: stopped by SIGTERM; the same command goes on.\n")
        raise SystemExit(_STOPPED)
    if code < 0:
        raise InputError(
            f"Expected `glint {arguments[0]}` to finish, but its process was ended by"
            f" {signal.Signals(-code).name}; run the same command again, and it goes on."
        )
    if code not in codes:
        raise InputError(failure(arguments[0], code, folder / LOG, shown))


@contextmanager
def _ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Whatever happens meanwhile, it does not outlive this."""
    try:
        yield
    except BaseException:
        process.kill()
        process.wait()
        raise


@contextmanager
def _sigterm_to(process: "subprocess.Popen[bytes]") -> Iterator[list[int]]:
    """Python lets the main thread alone handle signals; in others SIGTERM ends both processes."""
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    told: list[int] = []

    def hand_on(number: int, _: object) -> None:
        told.append(number)
        process.send_signal(number)

    before = signal.signal(signal.SIGTERM, hand_on)
    try:
        yield told
    finally:
        signal.signal(signal.SIGTERM, before)


def own_path() -> dict[str, str]:
    """So that a process of ours runs this Glint, installed or not."""
    own = str(Path(lightning_app.__file__).parents[1])
    rest = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": own if not rest else f"{own}{os.pathsep}{rest}"}


def failure(command: str, code: int, log: Path, shown: bool = False) -> str:
    """Why a command ended with a code above 0, in its own words.

    Args:
        command: Of `glint`.
        code: Its exit code.
        log: What it said.
        shown: Whether that was on the terminal instead.
    """
    said = "see above"
    if not shown:
        lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
        own = [line.removeprefix(_OURS) for line in lines if line.startswith(_OURS)]
        said = own[-1] if own else "\n".join(lines[-_SHOWN_LINES:])
    return f"Expected `glint {command}` to finish, but it ended with code {code} ({log}): {said}"


def end_with_parent(parent: int):  # type: ignore[no-untyped-def]  # what `preexec_fn` takes
    """What a new process calls so that on Linux it ends with its parent, and writes nothing unseen.

    Args:
        parent: The process that starts it.
    """
    if sys.platform != "linux":
        return None
    import ctypes

    library = ctypes.CDLL(None)

    def prepare() -> None:
        library.prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the line above
            os._exit(1)

    return prepare
