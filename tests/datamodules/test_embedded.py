import hashlib
import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from datamodules.embedded import EMBEDDED_TASKS, embedded_rows, load_embedded
from datamodules.embedded.case import CONTRADICTION, ENTAILMENT, NEUTRAL, Case
from datamodules.embedded.draw import Draw
from datamodules.embedded.frame import Frame
from datamodules.embedded.inference_topics import INFERENCES, UNSEEN_INFERENCES
from datamodules.embedded.morphology import inflect, polish
from datamodules.embedded.news_frames import NEWS
from datamodules.embedded.question_topics import QUESTIONS, UNSEEN_QUESTIONS
from datamodules.embedded.rows import _all_rows
from datamodules.embedded.tasks import TASKS
from datamodules.embedded.topic import State, Topic, directed
from datamodules.embedded.vocabulary import POOLS

_ROOT = Path(__file__).parents[2]
_STRING, _INT, _FLOAT = (datasets.Value(name) for name in ("string", "int32", "float32"))


def _schema(texts: str, label: object) -> datasets.Features:
    columns = dict.fromkeys(texts.split(), _STRING)
    return datasets.Features({**columns, "label": label, "idx": _INT})


def _classes(names: str) -> datasets.ClassLabel:
    return datasets.ClassLabel(names=names.split())


_NLI = _classes("entailment neutral contradiction")
_PLAIN_SPLITS = ["train", "validation", "test"]
_SCHEMAS = {
    "cola": _schema("sentence", _classes("unacceptable acceptable")),
    "sst2": _schema("sentence", _classes("negative positive")),
    "mrpc": _schema("sentence1 sentence2", _classes("not_equivalent equivalent")),
    "stsb": _schema("sentence1 sentence2", _FLOAT),
    "qqp": _schema("question1 question2", _classes("not_duplicate duplicate")),
    "mnli": _schema("premise hypothesis", _NLI),
    "qnli": _schema("question sentence", _classes("entailment not_entailment")),
    "rte": _schema("sentence1 sentence2", _classes("entailment not_entailment")),
    "wnli": _schema("sentence1 sentence2", _classes("not_entailment entailment")),
    "ax": _schema("premise hypothesis", _NLI),
}
_SPLITS = {
    **dict.fromkeys(_SCHEMAS, _PLAIN_SPLITS),
    "mnli": [
        "train",
        "validation_matched",
        "validation_mismatched",
        "test_matched",
        "test_mismatched",
    ],
    "ax": ["test"],
}
_SPLIT_PAIRS = [(task, split) for task, splits in _SPLITS.items() for split in splits]
_BINARY_TASKS = [name for name, task in TASKS.items() if len(task.label_names) == 2]

# Changed only together with the changelog: results of other versions are not comparable.
_DIGESTS = {
    "cola": "677c610f45b758a8",
    "sst2": "b6da6864567820dc",
    "mrpc": "5f74c31a009fd006",
    "stsb": "68a6dc073e0003b0",
    "qqp": "da2b996a368c540b",
    "mnli": "c18f337115bb1507",
    "qnli": "44369699d3f6b8f5",
    "rte": "8ea585acdacfe8e4",
    "wnli": "284fceaf41bc6cef",
    "ax": "4dfccbe1afc1d824",
}


def _texts(row: dict[str, object]) -> tuple[str, ...]:
    return tuple(value for value in row.values() if isinstance(value, str))


def _text(task: str, split: str) -> str:
    return " \n ".join(" \n ".join(_texts(row)) for row in embedded_rows(task, split)).lower()


def _digest(task: str) -> str:
    rows = {split: embedded_rows(task, split) for split in _SPLITS[task]}
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def _draw(part: str = "train", seed: int = 0) -> Draw:
    return Draw(random.Random(seed), part)


def test_tasks_are_the_ten_of_glue() -> None:
    assert tuple(_SCHEMAS) == EMBEDDED_TASKS
    assert len(EMBEDDED_TASKS) == 10


@pytest.mark.parametrize("task", list(_SCHEMAS))
def test_schema_is_glues(task: str) -> None:
    loaded = load_embedded(task)
    assert list(loaded) == _SPLITS[task]
    for split, dataset in loaded.items():
        assert dataset.features == _SCHEMAS[task]
        assert dataset.column_names == list(_SCHEMAS[task])
        assert dataset.split == split
        assert dataset["idx"][:] == list(range(TASKS[task].splits[split]))


@pytest.mark.parametrize("task", list(_SCHEMAS))
def test_loaded_rows_are_the_python_rows(task: str) -> None:
    split = _SPLITS[task][0]
    loaded = load_embedded(task)[split]
    for index, row in enumerate(embedded_rows(task, split)[:50]):
        assert loaded[index] == {**row, "label": pytest.approx(row["label"], abs=1e-6)}


@pytest.mark.parametrize("task", list(_SCHEMAS))
def test_content_is_pinned(task: str) -> None:
    assert _digest(task) == _DIGESTS[task]


def test_content_does_not_depend_on_the_process() -> None:
    # A bare parent package, for what the other data modules import is not at issue here.
    code = (
        "import sys, json, hashlib, types; parent = types.ModuleType('datamodules');"
        "parent.__path__ = ['datamodules']; sys.modules['datamodules'] = parent;"
        "from datamodules.embedded import embedded_rows;"
        "rows = {s: embedded_rows('rte', s) for s in ('train', 'validation', 'test')};"
        "print(hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]);"
        "print(sorted({'torch', 'datasets', 'pyarrow'} & set(sys.modules)))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=_ROOT
    ).stdout.split("\n")
    assert output[0] == _DIGESTS["rte"]
    assert output[1] == "[]"


def test_fingerprints_are_stable_and_distinct() -> None:
    first, second = load_embedded("mnli"), load_embedded("mnli")
    prints = {split: dataset._fingerprint for split, dataset in first.items()}
    assert prints == {split: dataset._fingerprint for split, dataset in second.items()}
    assert len(set(prints.values())) == 5
    assert all(re.fullmatch(r"[0-9a-f]{16}", value) for value in prints.values())


def test_generation_is_quick() -> None:
    _all_rows.cache_clear()
    for task in ("mnli", "mrpc", "rte"):
        start = time.process_time()
        embedded_rows(task, _SPLITS[task][0])
        assert time.process_time() - start < 2.0


@pytest.mark.parametrize("task", list(_SCHEMAS))
def test_no_text_occurs_twice_in_a_task(task: str) -> None:
    texts = [_texts(row) for split in _SPLITS[task] for row in embedded_rows(task, split)]
    assert len(set(texts)) == len(texts) == sum(TASKS[task].splits.values())


@pytest.mark.parametrize(("task", "split"), _SPLIT_PAIRS)
def test_sizes(task: str, split: str) -> None:
    number = len(embedded_rows(task, split))
    assert 2000 <= number <= 4000 if split == "train" else 400 <= number <= 800


@pytest.mark.parametrize("task", _BINARY_TASKS)
@pytest.mark.parametrize("split", ["train", "validation"])
def test_binary_labels_are_balanced(task: str, split: str) -> None:
    labels = [row["label"] for row in embedded_rows(task, split)]
    assert set(labels) == {0, 1}
    assert 0.35 <= sum(label == 1 for label in labels) / len(labels) <= 0.65


@pytest.mark.parametrize("split", ["train", "validation_matched", "validation_mismatched"])
def test_nli_labels_are_balanced(split: str) -> None:
    labels = [row["label"] for row in embedded_rows("mnli", split)]
    assert set(labels) == {0, 1, 2}
    for label in range(3):
        assert 0.27 <= labels.count(label) / len(labels) <= 0.40


@pytest.mark.parametrize("split", ["train", "validation"])
def test_similarities_fill_the_scale(split: str) -> None:
    scores = [row["label"] for row in embedded_rows("stsb", split)]
    assert all(isinstance(score, float) and 0.0 <= score <= 5.0 for score in scores)
    for low in range(5):
        assert sum(low <= float(str(score)) <= low + 1 for score in scores) > 0.05 * len(scores)


@pytest.mark.parametrize(
    ("task", "split"), [pair for pair in _SPLIT_PAIRS if pair[1].startswith("test")]
)
def test_test_labels_are_hidden(task: str, split: str) -> None:
    hidden = -1.0 if task == "stsb" else -1
    assert {row["label"] for row in embedded_rows(task, split)} == {hidden}


def _occurring(words: list[str], text: str) -> list[str]:
    plain = " " + re.sub(r"[^a-z0-9-]+", " ", text) + " "
    tokens = set(plain.split())
    return [
        word
        for word in words
        if (f" {word.lower()} " in plain if " " in word else word.lower() in tokens)
    ]


def _fillers(part: str) -> list[str]:
    # Fillers of the mismatched part that are borrowed from the held-out part count as these.
    words = [w for pool in POOLS.values() if getattr(pool, part) for w in pool.part(part)]
    return sorted(set(words))


@pytest.mark.parametrize("task", [name for name in _SCHEMAS if name != "ax"])
def test_held_out_fillers_do_not_occur_in_training(task: str) -> None:
    assert _occurring(_fillers("held_out") + _fillers("mismatched"), _text(task, "train")) == []


@pytest.mark.parametrize(
    ("task", "at_least"), [("cola", 100), ("mrpc", 100), ("qqp", 40), ("qnli", 60), ("rte", 120)]
)
def test_held_out_fillers_occur_in_evaluation(task: str, at_least: int) -> None:
    assert len(_occurring(_fillers("held_out"), _text(task, "validation"))) >= at_least


def test_mismatched_splits_have_their_own_words() -> None:
    mismatched = _fillers("mismatched")
    assert _occurring(mismatched, _text("mnli", "validation_matched")) == []
    assert len(_occurring(mismatched, _text("mnli", "validation_mismatched"))) >= 40


@pytest.mark.parametrize(
    ("task", "low", "high"),
    [("cola", 7, 12), ("sst2", 7, 12), ("mrpc", 36, 50), ("qnli", 25, 36), ("wnli", 13, 20)],
)
def test_sentences_have_a_natural_length(task: str, low: float, high: float) -> None:
    rows = embedded_rows(task, "train")
    words = sum(len(" ".join(_texts(row)).split()) for row in rows)
    assert low <= words / len(rows) <= high


def test_no_template_leftovers() -> None:
    for task, split in _SPLIT_PAIRS:
        text = _text(task, split).replace(" \n ", "\n")
        assert re.findall(r"[{}<>|\[\]]|//|  | [.,?]", text) == []


def test_swapped_roles_are_not_equivalent() -> None:
    wordings = ("{woman} met {woman2}.", "{woman2} was met by {woman}.")
    frame = Frame(wordings, swap=("woman", "woman2"))
    same = {frame.pair(_draw(seed=seed), True) for seed in range(5)}
    for first, second in same:
        active, passive = sorted((first, second), key=lambda text: "was met" in text)
        assert active.split(" met ")[0] == passive.rstrip(".").split(" by ")[1]
    swapped = frame._swapped({"woman": "Anna", "woman2": "Rosa"})
    assert _draw().fill(frame.wordings[0], swapped) == "Rosa met Anna."


def test_other_pairs_of_a_frame_differ_in_meaning() -> None:
    frame = Frame(("{man} has {number} plates.", "There are {number} plates {man} has."))
    for seed in range(20):
        first, second = frame.pair(_draw(seed=seed), False)
        names = [set(re.findall(r"\d+|[A-Z][a-z]+", text)) - {"There"} for text in (first, second)]
        assert len(names[0] & names[1]) == 1


def test_news_swap_exchanges_buyer_and_bought() -> None:
    bindings: dict[str, str] = {}
    text = _draw().fill(NEWS[0].wordings[0], bindings)
    other = _draw().fill(NEWS[0].wordings[0], NEWS[0]._swapped(bindings))
    assert text.startswith(bindings["company"] + " said on")
    assert other.startswith(bindings["company2"] + " said on")


def _accuracy(task: str, features: Callable[[list[tuple[str, ...]]], Any]) -> float:
    train, validation = embedded_rows(task, "train"), embedded_rows(task, "validation")
    inputs = features([_texts(row) for row in train + validation])
    labels = np.array([row["label"] for row in train + validation])
    model = LogisticRegression(max_iter=1000).fit(inputs[: len(train)], labels[: len(train)])
    return float(model.score(inputs[len(train) :], labels[len(train) :]))


def _bags(texts: list[str]) -> Any:
    return CountVectorizer(token_pattern=r"\w+").fit_transform(texts)


# A majority vote reaches 0.54 on rte and 0.56 on qqp.
@pytest.mark.parametrize("task", ["rte", "qqp"])
@pytest.mark.parametrize(("column", "below"), [(0, 0.65), (1, 0.6)])
def test_one_text_alone_does_not_tell_the_label(task: str, column: int, below: float) -> None:
    accuracy = _accuracy(task, lambda pairs: _bags([pair[column] for pair in pairs]))
    assert accuracy < below


@pytest.mark.parametrize("task", ["rte", "qqp"])
def test_the_words_of_both_texts_do_not_tell_the_label(task: str) -> None:
    accuracy = _accuracy(task, lambda pairs: _bags([" ".join(pair) for pair in pairs]))
    assert accuracy < 0.6


def _overlap(pair: tuple[str, ...]) -> list[float]:
    first, second = (set(re.findall(r"\w+", text.lower())) for text in pair)
    shared = len(first & second)
    return [shared / len(second), shared / len(first | second), len(second - first)]


# In rte a name that the text lacks is a fair reason to doubt the hypothesis.
@pytest.mark.parametrize(("task", "below"), [("rte", 0.7), ("qqp", 0.6)])
def test_word_overlap_hardly_tells_the_label(task: str, below: float) -> None:
    assert _accuracy(task, lambda pairs: [_overlap(pair) for pair in pairs]) < below


@pytest.mark.parametrize("topics", [INFERENCES, UNSEEN_INFERENCES, QUESTIONS, UNSEEN_QUESTIONS])
def test_every_topic_has_pairs_of_both_labels(topics: tuple[Topic, ...]) -> None:
    for topic in topics:
        assert len({len(state.premises) for state in topic.states}) == 1
        for seed in range(20):
            for same in (True, False):
                first, second = topic.pair(_draw(seed=seed), same, 0.5)
                assert first != second


def test_evaluation_has_mostly_known_topics() -> None:
    rows = embedded_rows("rte", "validation")
    known = {s for topic in INFERENCES for state in topic.states for s in state.hypotheses}
    patterns = [re.escape(text) for text in known]
    patterns = [re.sub(r"\\\{\w+(:\w+)?\\\}", r"[\\w -]+", text) for text in patterns]
    pattern = re.compile("|".join(patterns))
    assert 0.5 <= sum(bool(pattern.fullmatch(_texts(row)[1])) for row in rows) / len(rows) < 1


def test_topics_pair_each_hypothesis_with_both_labels() -> None:
    topic = Topic((State(("{man} ran.",), ("{man} moved.",)), State(("{man} slept.",), ("Z.",))))
    state, other = topic.states
    assert _wordings(topic, same=True) == {("ran", "moved"), ("slept", "Z")}
    assert _wordings(topic, same=False) == {("ran", "Z"), ("slept", "moved")}
    assert state.hypothesis(_draw(), 0) == "{man} moved."
    assert other.hypothesis(_draw(), 0) == "Z."


def _wordings(topic: Topic, same: bool) -> set[tuple[str, ...]]:
    pairs = [topic.pair(_draw(seed=seed), same, 0.0) for seed in range(30)]
    return {tuple(text.rstrip(".").split()[-1] for text in pair) for pair in pairs}


def test_topics_change_a_slot_that_both_texts_have() -> None:
    topic = Topic((State(("{man} left {city}.",), ("{man} is gone from {mid}.",)),) * 2)
    for seed in range(20):
        first, second = topic.pair(_draw(seed=seed), False, 1.0)
        assert first.split()[0] != second.split()[0]


def test_directed_topics_exchange_the_slots() -> None:
    topic = directed("man", "man2", ("{man} paid {man2}.",), ("{man2} got money from {man}.",))
    assert topic.states[1] == State(("{man2} paid {man}.",), ("{man} got money from {man2}.",))
    first, second = topic.pair(_draw(), False, 0.0)
    assert first.split()[0] == second.split()[0]
    assert first.rstrip(".").split()[-1] == second.rstrip(".").split()[-1]


def test_wordings_of_a_state_are_not_paired_with_themselves() -> None:
    state = State(("{man} ran.", "{man} was running.", "It was {man} who ran."))
    assert {state.hypothesis(_draw(seed=seed), 1) for seed in range(20)} == {
        "{man} ran.",
        "It was {man} who ran.",
    }


def test_cases_give_the_texts_of_the_label() -> None:
    case = Case("{man} ran.", entailed=("{man} moved.",), contradicted=("{man} stood still.",))
    premise, hypothesis = case.texts(_draw(), ENTAILMENT) or ("", "")
    assert premise.split()[0] == hypothesis.split()[0]
    assert hypothesis.endswith("moved.")
    assert case.texts(_draw(), NEUTRAL) is None
    assert (case.texts(_draw(), CONTRADICTION) or ("", ""))[1].endswith("stood still.")


def _label_of(task: str, pattern: str, split: str = "train") -> set[object]:
    rows = embedded_rows(task, split)
    return {row["label"] for row in rows if re.search(pattern, " || ".join(_texts(row)))}


@pytest.mark.parametrize(
    ("task", "pattern", "label"),
    [
        ("cola", r"^The \w+s behind the \w+[^s] are ", 1),
        ("cola", r"^The \w+s behind the \w+[^s] is ", 0),
        ("cola", r"^What did \w+ borrow the ", 0),
        ("cola", r"did not \w+ed ", 0),
        ("cola", r"^Some \w+ has ever", 0),
        ("sst2", r"(far from|anything but|not at all) (dull|flat|lazy|messy|silly|slow)", 1),
        ("sst2", r"never rises to anything brilliant", 0),
        ("sst2", r"^despite the \w+ [\w ]+, the \w+ is funny", 1),
        ("mnli", r"^Every (\w+) .*\|\| Not all \1s at", 2),
        ("mnli", r"^(\w+) failed to \w+ (the \w+) .*\|\| \1 \w+ed \2\.$", 2),
        ("mnli", r"^The (\w+) (\w+ed) the (\w+) .*\|\| The \3 \2 the \1\.$", 1),
        ("mnli", r"^The (\w+) (\w+ed) the (\w+) .*\|\| The \3 was \2 by the \1\.$", 0),
        ("mnli", r"(believes|claims) that (the \w+ \w+ the \w+)\. \|\| (?i:\2)\.$", 1),
        ("mnli", r"(knows|realized) that (the \w+ \w+ the \w+)\. \|\| (?i:\2)\.$", 0),
        ("wnli", r"(\w+) lent .* money because .* was (broke|poor)\. \|\| (The )?\1 was", 0),
        ("wnli", r" lent .*?(\w+) some money because .*\. \|\| (The )?\1 was (broke|poor)", 1),
        ("qnli", r"^Who designed the ([\w ]+)\? \|\| (?!.*(design|plans)).*\1", 1),
        ("qnli", r"^Who designed the ([\w ]+)\? \|\| .*\1.* was designed by", 0),
        ("rte", r"The (\w+) (\w+ed) the (\w+) (at|near|in) .*\|\| The \3 was \2 by the \1\.$", 0),
        ("rte", r"The (\w+) (\w+ed) the (\w+) (at|near|in) .*\|\| The \1 was \2 by the \3\.$", 1),
        ("rte", r"(failed|forgot|manage|refused) to .* \|\| (\w+ \w+ed the|The \w+ was \w+ed)", 1),
        ("qqp", r"way to (travel|get) from (\w+) to (\w+)\? .*\|\| .* \3 from \2 on", 1),
        ("qqp", r"way to (travel|get) from (\w+) to (\w+)\? .*\|\| .* \2 from \3 on", 0),
        ("stsb", r"^The (\w+) (\w+ed) the (\w+) at .*\|\| The \3 was \2 by the \1 at", 5.0),
        ("stsb", r"^The (\w+) (\w+ed) the (\w+) at .*\|\| The \3 \2 the \1 at", 3.0),
    ],
)
def test_hand_checked_labels(task: str, pattern: str, label: object) -> None:
    assert _label_of(task, pattern) == {label}


@pytest.mark.parametrize(
    ("word", "form", "expected"),
    [
        ("carry", "s", "carries"),
        ("boy", "s", "boys"),
        ("watch", "s", "watches"),
        ("praise", "ed", "praised"),
        ("carry", "ed", "carried"),
        ("annoy", "ed", "annoyed"),
        ("invite", "ing", "inviting"),
        ("lamp", None, "lamp"),
    ],
)
def test_inflection(word: str, form: str | None, expected: str) -> None:
    assert inflect(word, form) == expected


def test_polish() -> None:
    text = polish("a  old hat is a used hat , a apple .")
    assert text == "An old hat is a used hat, an apple."


def test_fill_keeps_bindings_and_draws_distinct_fillers() -> None:
    bindings = {"woman": "Anna"}
    text = _draw().fill("{woman} and {woman2} saw {woman}.", bindings)
    assert text == f"Anna and {bindings['woman2']} saw Anna."
    assert bindings["woman2"] != "Anna"


def test_unknown_task_lists_the_tasks() -> None:
    with pytest.raises(ValueError, match=r"Expected `task_name` to be one of \['cola', .*'glue'"):
        embedded_rows("glue", "train")
    with pytest.raises(ValueError, match=r"Expected `task_name` to be one of \['cola', .*'glue'"):
        load_embedded("glue")


def test_unknown_split_lists_the_splits() -> None:
    with pytest.raises(ValueError, match=r"Expected `split` of ax in \['test'\], got 'train'"):
        embedded_rows("ax", "train")
