"""A frozen network that teaches another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from lightning_app.cache_key import cache_key
from lightning_app.checkpoint import read_glint_checkpoint
from lightning_app.errors import InputError
from lightning_app.pretrained import (
    is_checkpoint,
    load_config,
    load_fine_tuned_network,
    load_tokenizer,
    tokenizer_files,
)
from lightning_app.task import Task
from modules.acceleration import accelerate
from modules.architecture import ArchitectureRecord
from modules.features import LOGITS, Features
from modules.starting_network import network_weights

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from modules.text_classifier import TextClassifier

SELF = "self"
"""The student's own start: what `model.model_name_or_path` names."""


@dataclass(frozen=True)
class Teacher:
    """Always in evaluation mode, without gradients, and no submodule of anything.

    Args:
        name: Where it came from.
        network: The frozen network.
        order: The teacher's position of each of the student's labels, or None where they agree.
        tokenizer: The teacher's, where it is another than the student's; else None.
        first_token_only: Handle of the shortcut in the last layer, if there is one.
    """

    name: str
    network: "PreTrainedModel"
    order: Tensor | None
    tokenizer: "PreTrainedTokenizerBase | None"
    first_token_only: RemovableHandle | None

    @property
    def tokenizer_hash(self) -> str | None:
        """Of a tokenizer of its own."""
        return None if self.tokenizer is None else cache_key(tokenizer_files(self.tokenizer))

    def read(self, names: Sequence[str]) -> Features:
        """What `features` is to read; computes all tokens from now on if hidden states are."""
        features = Features(self.network, names, always=True)
        if features.network_options and self.first_token_only is not None:
            self.first_token_only.remove()
        return features

    @torch.no_grad()
    def features(self, features: Features, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the network; logits come in the order of the student's labels.

        Args:
            features: Of this network.
            inputs: What the network reads, on its device.
        """
        outputs = self.network(**inputs, **features.network_options)
        found = features.of(outputs)
        features.clear()
        if self.order is not None and LOGITS in found:
            found[LOGITS] = found[LOGITS][:, self.order.to(found[LOGITS].device)]
        return found


def load_teacher(name: str, student: "TextClassifier") -> Teacher:
    """A teacher for the student's task.

    Args:
        name: A checkpoint of `glint fit`, a folder or hub id of a fine-tuned model, or ``self``.
        student: With its task; ``self`` is the model that it starts from.

    Raises:
        InputError: If the teacher has no trained head, or was trained for other labels.
    """
    assert student.task is not None
    source = student.model_name_or_path if name == SELF else name
    load = _of_checkpoint if is_checkpoint(source) else _of_folder
    network, task = load(source, student)
    order = _label_order(task, student.task, source)
    tokenizer = load_tokenizer(source)
    network.requires_grad_(False).eval()  # type: ignore[no-untyped-call]
    same = tokenizer_files(tokenizer) == tokenizer_files(student.tokenizer)
    shortcut = accelerate(network)
    return Teacher(source, network, order, None if same else tokenizer, shortcut)


def _of_checkpoint(path: str, student: "TextClassifier") -> tuple["PreTrainedModel", Task]:
    checkpoint = read_glint_checkpoint(path)
    network = ArchitectureRecord.from_plain(checkpoint["architecture"]).build()
    network.load_state_dict(network_weights(checkpoint["state_dict"]))
    return network, Task.from_plain(checkpoint["task"])


def _of_folder(name: str, student: "TextClassifier") -> tuple["PreTrainedModel", Task]:
    config: Any = load_config(name)
    assert student.task is not None
    labels = tuple(config.id2label[i] for i in range(config.num_labels))
    if labels == tuple(f"LABEL_{i}" for i in range(student.task.num_labels)):
        rank_zero_info(
            f"Distillation: the teacher {name!r} names no labels; they are taken to be"
            f" {', '.join(student.task.label_names)}, in this order."
        )
        labels = student.task.label_names
    network = load_fine_tuned_network(name)
    plain = {**student.task.as_plain(), "label_names": labels}
    if student.task.problem_type == "regression" and config.num_labels == 1:
        plain["label_names"] = student.task.label_names
    return network, Task.from_plain(plain)


def _label_order(teacher: Task, student: Task, name: str) -> Tensor | None:
    same_problem = teacher.problem_type == student.problem_type
    if same_problem and teacher.label_names == student.label_names:
        return None
    if same_problem and sorted(teacher.label_names) == sorted(student.label_names):
        order = [teacher.label_names.index(label) for label in student.label_names]
        rank_zero_info(
            f"Distillation: the teacher's labels ({', '.join(teacher.label_names)}) are brought"
            f" into the student's order ({', '.join(student.label_names)})."
        )
        return torch.tensor(order)
    raise InputError(
        f"Expected `teacher` to be trained for the labels {', '.join(student.label_names)}"
        f" ({student.problem_type}), got {name!r} with {', '.join(teacher.label_names)}"
        f" ({teacher.problem_type}); choose a teacher of this task."
    )
