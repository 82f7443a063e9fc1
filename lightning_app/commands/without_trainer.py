"""The commands that need no Trainer: export, answers of an artifact, and the doctor.

Each is imported when it is asked for, Lightning by none but the export.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from lightning_app.commands.answer_text import answer_text
from lightning_app.commands.doctor import Doctor
from lightning_app.commands.export import Export
from lightning_app.commands.predict_artifact import PredictArtifact


def needs_no_trainer(command: str, arguments: Sequence[str]) -> bool:
    """Whether this is one of them; `predict` is with ``--artifact``."""
    if command == "predict":
        return any(a == "--artifact" or a.startswith("--artifact=") for a in arguments)
    return command in ("export", "doctor")


def run_without_trainer(command: str, arguments: Sequence[str]) -> None:
    """Parse the arguments and run the command.

    Args:
        command: One that :func:`needs_no_trainer`.
        arguments: Behind the command.
    """
    from jsonargparse import ActionYesNo, ArgumentParser

    kind, run, flags = _COMMANDS[command]
    parser = ArgumentParser(prog=f"glint {command}", exit_on_error=False, description=kind.__doc__)
    parser.add_argument("--config", action="config", help="A YAML file with these options.")
    parser.add_class_arguments(kind, as_group=False, skip=set(flags))
    for name, text in flags.items():
        parser.add_argument(f"--{name}", action=ActionYesNo, default=False, help=text)
    options = parser.parse_args(list(arguments)).as_dict()
    options.pop("config")
    run(kind(**options))


def _export(options: Export) -> None:
    manifest = options.run()
    sys.stdout.write(
        f"{options.output}: {manifest.format}, {manifest.size / 1e6:,.1f} MB,"
        f" {manifest.parameters:,} parameters, at most {manifest.max_seq_length} tokens;"
        " it answers as the checkpoint does\n"
        f"next: glint predict --artifact {options.output} --text ..."
        f"{' --text_pair ...' * (len(manifest.task.text_columns) - 1)}\n"
    )


def _predict(options: PredictArtifact) -> None:
    if options.data is None:
        sys.stdout.write(answer_text(options.answer()))
        return
    files = options.write()
    sys.stdout.write(f"written: {', '.join(map(str, files))}\n")


def _doctor(options: Doctor) -> None:
    sys.stdout.write(options.run())


_COMMANDS: dict[str, tuple[Any, Callable[[Any], None], dict[str, str]]] = {
    "export": (Export, _export, {"overwrite": "Replace an artifact that is there."}),
    "predict": (PredictArtifact, _predict, {}),
    "doctor": (Doctor, _doctor, {}),
}
"""Its options, what runs it, and those options that need no value, with their help."""
