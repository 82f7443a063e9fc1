"""`README.md` of an artifact: what the model is, how it came about, and what to expect of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning_app.artifact.formats import format_named
from lightning_app.artifact.manifest import Manifest
from lightning_app.commands.export_speed import Speed
from lightning_app.commands.licences import licence_of
from lightning_app.commands.run_facts import RunFacts


def model_card(
    manifest: Manifest, facts: RunFacts, folder: Path, speed: Speed | None = None
) -> str:
    """The card.

    Args:
        manifest: Without its files.
        facts: From the run, as far as it is there.
        folder: With the model files written.
        speed: As measured on the machine that exports; None where it was not.
    """
    base = str(manifest.architecture["base_model"])
    sections = {
        f"{manifest.task.name}: a text classifier ({manifest.format})": _summary(manifest, base),
        "Use": _use(manifest),
        "Data": _data(manifest, facts),
        "Recipe": _recipe(manifest, facts),
        "Scores": _scores(facts),
        "Size": _size(manifest, folder),
        "Speed": _speed(speed),
        "Limits": _limits(manifest),
        "Licence": _licence(base),
    }
    blocks = [f"{'#' * (1 + (n > 0))} {title}\n{text}" for n, (title, text) in _numbered(sections)]
    return "\n\n".join([_front_matter(base), *blocks]) + "\n"


def _numbered(sections: Mapping[str, str]) -> list[tuple[int, tuple[str, str]]]:
    return list(enumerate(sections.items()))


def _front_matter(base: str) -> str:
    lines = ["pipeline_tag: text-classification", "tags: [glint]"]
    licence = licence_of(base)
    if licence is not None:
        lines.insert(0, f"license: {licence}")
    return "\n".join(["---", *lines, "---"])


def _summary(manifest: Manifest, base: str) -> str:
    task = manifest.task
    labels = "a score" if task.problem_type == "regression" else ", ".join(task.label_names)
    return (
        f"Reads {' and '.join(task.text_columns)}, at most {manifest.max_seq_length} tokens;"
        f" answers {labels} ({task.problem_type.replace('_', ' ')}). Base model: `{base}`."
        " Written and checked by `glint export`."
    )


def _use(manifest: Manifest) -> str:
    pair = ', ["a second text"]' if len(manifest.task.text_columns) == 2 else ""
    group = format_named(manifest.format).group
    package = "glint-text" if group is None else f"glint-text[{group}]"
    lines = [
        f"# pip install '{package}'",
        "import lightning_app",
        "",
        'model = lightning_app.load("THIS_FOLDER", threads=2)',
        f'model(["a text"]{pair})',
    ]
    text = "\n".join(["```python", *lines, "```"])
    if manifest.format != "hf":
        return text
    if manifest.is_plain_transformers:
        return f"{text}\nOpens in plain `transformers`, too: `from_pretrained` and `pipeline`."
    return (
        f"{text}\nThe layers have shapes or operators that no `transformers` configuration names:"
        " the weights open through the record in `manifest.json`, as above, and not by"
        " `from_pretrained`."
    )


def _data(manifest: Manifest, facts: RunFacts) -> str:
    if not facts.data:
        return f"Task `{manifest.task.name}`. The configuration of the run was not found."
    keys = ("task_name", "dataset", "train_file", "validation_file", "unlabelled", "max_train_rows")
    shown = {key: facts.data.get(key) for key in keys}
    return _table({key: value for key, value in shown.items() if value is not None})


def _recipe(manifest: Manifest, facts: RunFacts) -> str:
    steps = [_operation(entry) for entry in manifest.architecture["history"]]
    lines = [f"{number}. {step}" for number, step in enumerate(steps, 1)]
    parts = ["\n".join(lines)]
    if facts.callbacks:
        parts.append(f"Callbacks: {', '.join(facts.callbacks)}.")
    if facts.shown:
        parts.append(_table(facts.shown))
    return "\n\n".join(parts)


def _operation(entry: Mapping[str, Any]) -> str:
    details = ", ".join(f"{k} {v}" for k, v in entry.items() if k != "operation")
    return f"{entry['operation']}{': ' if details else ''}{details[:300]}"


def _scores(facts: RunFacts) -> str:
    if not facts.scores:
        return "No validation of this checkpoint was found in the folder of its run."
    rounded = {name: f"{value:.4f}" for name, value in facts.scores.items()}
    return f"On the validation set, of the checkpoint in PyTorch:\n\n{_table(rounded)}"


def _size(manifest: Manifest, folder: Path) -> str:
    files = {path.name: f"{path.stat().st_size:,} bytes" for path in sorted(folder.iterdir())}
    zero = 1 - manifest.nonzero_parameters / manifest.parameters
    parameters = f"{manifest.parameters:,} ({zero:.1%} are zero)"
    return _table({"parameters": parameters, **files})


def _speed(speed: Speed | None) -> str:
    if speed is None:
        return "Not measured when it was exported; `glint benchmark THIS_FOLDER` does."
    rows = {
        f"{size} row{'s' * (size > 1)}": f"{ms:.3g} ms" if ms < 100 else f"{ms:.0f} ms"
        for size, ms in speed.p50_ms.items()
    }
    return (
        f"Median of about a second, of the network alone on {speed.length} tokens:"
        f" {speed.processor}, {speed.threads} thread{'s' * (speed.threads > 1)},"
        f" {speed.runtime}. `glint benchmark THIS_FOLDER` measures with care.\n\n{_table(rows)}"
    )


def _limits(manifest: Manifest) -> str:
    lines = [
        *manifest.notes,
        "Longer texts are cut at the maximum length; what is cut is not read.",
        "It knows the labels and the kind of text that it was trained on, and answers anything"
        " with one of them.",
        "Scores are of one run and one validation set; speed is of one machine.",
        f"Its logits agree with the checkpoint's to {manifest.tolerance:g} of the largest,"
        " checked when it was written.",
    ]
    return "\n".join(f"- {line}" for line in lines)


def _licence(base: str) -> str:
    licence = licence_of(base)
    if licence is None:
        return f"That of the base model `{base}`, which is not known here: look it up."
    return f"The base model `{base}`: {licence}. The data may have a licence of its own."


def _table(values: Mapping[str, Any]) -> str:
    rows: Sequence[str] = [f"| {key} | {_cell(value)} |" for key, value in values.items()]
    return "\n".join(["| | |", "| --- | --- |", *rows])


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
