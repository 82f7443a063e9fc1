"""Lines of prediction files: GLUE's submission format, and a table for a user's own files."""

from torch import Tensor

from lightning_app.task import Task
from modules.metrics import predicted

TABLE = "predictions.tsv"


def submission_lines(logits: Tensor, task: Task, answer: str) -> list[str]:
    """Lines of a GLUE submission file, header first.

    Args:
        logits: ``[rows, num_labels]``, in the order of the split.
        task: Gives the label names.
        answer: ``index``, ``word`` or ``score``.
    """
    if answer == "score":
        answers = [f"{value:.3f}" for value in logits.squeeze(-1).clamp(0, 5).tolist()]
    else:
        classes = logits.argmax(dim=-1).tolist()
        answers = [task.label_names[c] if answer == "word" else str(c) for c in classes]
    return ["index\tprediction", *(f"{i}\t{a}" for i, a in enumerate(answers))]


def table_lines(logits: Tensor, task: Task) -> list[str]:
    """Lines of a table with the prediction and the score of each label, header first.

    Args:
        logits: ``[rows, num_labels]``, in the order of the file.
        task: Gives the label names.
    """
    if task.problem_type == "regression":
        values = logits.squeeze(-1).tolist()
        return ["index\tprediction", *(f"{i}\t{value:.6g}" for i, value in enumerate(values))]
    several = task.problem_type == "multi_label_classification"
    scores = logits.sigmoid() if several else logits.softmax(-1)
    lines = ["\t".join(["index", "prediction", *task.label_names])]
    for i, (guess, row) in enumerate(zip(predicted(logits, task), scores.tolist(), strict=True)):
        chosen = (
            [n for n, yes in zip(task.label_names, guess, strict=True) if yes]
            if several
            else [task.label_names[int(guess)]]
        )
        lines.append("\t".join([str(i), "|".join(chosen), *(f"{s:.6f}" for s in row)]))
    return lines


def file_text(lines: list[str]) -> str:
    """What is in the file."""
    return "\n".join(lines) + "\n"
