"""Entry point of `glint` and `python -m lightning_app`.

Heavy imports happen after the command is known, so that `glint --help` answers at once.
"""

import os
import sys

from lightning_app import __version__
from lightning_app.errors import InputError

COMMANDS = {
    "fit": "fine-tune a model on a GLUE task or on your own files",
    "validate": "score a checkpoint on the validation set",
    "test": "score a checkpoint on a labelled test file",
    "predict": "write predictions (GLUE's submission files), or answer --text",
    "compress": "run a recipe from a task to a small, fast model: teacher, student, int8, artifact",
    "search": "search over any keys of the configuration, on one machine or many",
    "export": "write a checkpoint as a folder that opens alone: hf, torch, onnx, openvino, int8",
    "benchmark": "measure exported folders against each other: latency, memory, size, scores",
    "report": "one page of any runs and artifacts: what was traded, what changed, what it cost",
    "doctor": "say what this machine offers, what is fast on it, and what is not installed",
    "join": "make one file of a checkpoint that several processes have written parts of",
    "quantize": "round a checkpoint to int8 or fewer bits without training, within a given drop",
    "plan": "say what a fit would do at each step and how long it takes, from a few steps",
    "shrink": "take layers, heads and neurons out until it is as fast here as you say",
    "sensitivity": "measure what pruning each layer alone costs, and plan how much each can lose",
}

INTERRUPTED = 130
"""Exit code of a shell for what Ctrl-C has ended."""

USAGE = """\
usage: glint COMMAND [--config FILE]... [--OPTION VALUE]...

Fine-tune transformer text classifiers on GLUE and your own data.

commands:
{commands}

first steps:
  glint fit --config configs/demo.yaml          offline: embedded model and data, minutes
  glint compress --config configs/recipes/demo.yaml        to a small, fast model, offline
  glint fit --config configs/mrpc.yaml          bert-base-uncased on GLUE MRPC from the hub
  glint fit --config configs/mrpc.yaml --print_config      all options and their values
  glint COMMAND --help                          all options of a command
  tensorboard --logdir runs                     watch
"""


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns the exit code.

    0 for success, 1 where what was measured is not what it should be, 2 for a mistake of the
    user's.
    """
    if argv is not None:
        sys.argv[1:] = argv
    command = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if command in ("-h", "--help", "help"):
        return _say(_usage(), 0)
    if command == "--version":
        return _say(f"glint {__version__}\n", 0)
    if command not in COMMANDS:
        known = ", ".join(COMMANDS)
        return _complain(f"Expected a command ({known}), got {command!r}; see `glint --help`.")
    return _run(command)


def _run(command: str) -> int:
    from lightning_app.allocator import keep_large_blocks

    keep_large_blocks()
    # A console script has the folder of the script on the path, not the working directory, where
    # users keep their callbacks. At the end, so that it never shadows a package.
    if os.getcwd() not in sys.path:  # noqa: PTH109
        sys.path.append(os.getcwd())  # noqa: PTH109
    from lightning_app.commands.without_trainer import needs_no_trainer

    if needs_no_trainer(command, sys.argv[2:]):
        return _run_without_trainer(command)
    return _run_with_trainer(command)


def _run_without_trainer(command: str) -> int:
    from jsonargparse import ArgumentError

    from lightning_app.commands.without_trainer import run_without_trainer
    from lightning_app.parse_errors import input_error_within, option_sentence
    from lightning_app.quiet import silence_noise

    silence_noise()
    try:
        return run_without_trainer(command, sys.argv[2:])
    except KeyboardInterrupt:
        sys.stderr.write("\nglint: stopped; the same command goes on where it can.\n")
        return INTERRUPTED
    except InputError as error:
        return _complain(str(error))
    except ArgumentError as error:
        return _complain(option_sentence(str(error), command))
    except ValueError as error:
        if (mistake := input_error_within(error)) is None:
            raise
        return _complain(str(mistake))


def _run_with_trainer(command: str) -> int:
    from lightning_app.quiet import silence_noise

    silence_noise()  # what is imported next is noisy already
    from jsonargparse import ArgumentError
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    from lightning_app.cli import GlintCLI
    from lightning_app.parse_errors import input_error_within, option_sentence

    try:
        GlintCLI(command)
    except (InputError, MisconfigurationException) as error:
        return _complain(str(error))
    except ArgumentError as error:
        return _complain(option_sentence(str(error), command))
    except ValueError as error:
        if (mistake := input_error_within(error)) is None:
            raise
        return _complain(str(mistake))
    return 0


def _usage() -> str:
    return USAGE.format(
        commands="\n".join(f"  {name:<12} {text}" for name, text in COMMANDS.items())
    )


def _say(text: str, code: int) -> int:
    sys.stdout.write(text)
    return code


def _complain(sentence: str) -> int:
    sys.stderr.write(f"glint: {sentence}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
