"""The ten tasks: what makes their rows, what their columns are and how many rows each split has."""

from collections.abc import Callable
from dataclasses import dataclass

from datamodules.embedded.acceptability import acceptability_row
from datamodules.embedded.draw import Draw
from datamodules.embedded.entailment import entailment_row
from datamodules.embedded.inference import inference_row
from datamodules.embedded.paraphrase import news_paraphrase_row, question_paraphrase_row
from datamodules.embedded.pronouns import pronoun_row
from datamodules.embedded.questions import question_answer_row
from datamodules.embedded.sentiment import sentiment_row
from datamodules.embedded.similarity import similarity_row


@dataclass(frozen=True)
class EmbeddedTask:
    """One task of the embedded data set.

    Args:
        make_row: Makes one row, without `idx`.
        label_names: The class names in GLUE's order; none for a regression.
        splits: The number of rows of each split, in GLUE's order.
    """

    make_row: Callable[[Draw], dict[str, object]]
    label_names: tuple[str, ...]
    splits: dict[str, int]


def _splits(train: int, evaluation: int) -> dict[str, int]:
    return {"train": train, "validation": evaluation, "test": evaluation}


_NLI = ("entailment", "neutral", "contradiction")
_MNLI_SPLITS = {
    "train": 3000,
    "validation_matched": 500,
    "validation_mismatched": 500,
    "test_matched": 500,
    "test_mismatched": 500,
}

TASKS: dict[str, EmbeddedTask] = {
    "cola": EmbeddedTask(acceptability_row, ("unacceptable", "acceptable"), _splits(3000, 600)),
    "sst2": EmbeddedTask(sentiment_row, ("negative", "positive"), _splits(2400, 500)),
    "mrpc": EmbeddedTask(news_paraphrase_row, ("not_equivalent", "equivalent"), _splits(2400, 500)),
    "stsb": EmbeddedTask(similarity_row, (), _splits(2400, 500)),
    "qqp": EmbeddedTask(
        question_paraphrase_row, ("not_duplicate", "duplicate"), _splits(2400, 500)
    ),
    "mnli": EmbeddedTask(entailment_row, _NLI, _MNLI_SPLITS),
    "qnli": EmbeddedTask(question_answer_row, ("entailment", "not_entailment"), _splits(2400, 500)),
    "rte": EmbeddedTask(inference_row, ("entailment", "not_entailment"), _splits(2400, 400)),
    "wnli": EmbeddedTask(pronoun_row, ("not_entailment", "entailment"), _splits(3000, 400)),
    "ax": EmbeddedTask(entailment_row, _NLI, {"test": 500}),
}
