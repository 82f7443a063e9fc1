"""The terms of a distillation: what each reads of student and teacher, and its loss."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from lightning_app.functional.distillation import (
    attention_map_losses,
    attention_probabilities,
    hidden_state_losses,
    relation_losses,
    soft_multi_label_losses,
    soft_regression_losses,
    soft_target_losses,
)
from lightning_app.functional.layer_map import nearest_in_order
from modules.features import LOGITS, PROJECTIONS

Tensors = Mapping[str, Tensor]


class DistillationTerm(Protocol):
    """One comparison of student and teacher; names are those of `modules.features`."""

    @property
    def of_student(self) -> Sequence[str]:
        """Features of the student that are read."""

    @property
    def of_teacher(self) -> Sequence[str]:
        """Features of the teacher that are read."""

    def losses(self, student: Tensors, teacher: Tensors, mask: Tensor) -> Tensor:
        """Loss of each row ``[batch]``; ``mask`` ``[batch, seq]`` is 1 where a token is."""


@dataclass(frozen=True)
class SoftTargets:
    """The teacher's answers.

    Args:
        problem_type: Of the task.
        temperature: Divides both logits where they are classes.
    """

    problem_type: str
    temperature: float
    of_student: Sequence[str] = (LOGITS,)
    of_teacher: Sequence[str] = (LOGITS,)

    def losses(self, student: Tensors, teacher: Tensors, mask: Tensor) -> Tensor:
        """Divergence of the answers, squared error for regression."""
        if self.problem_type == "regression":
            return soft_regression_losses(student[LOGITS], teacher[LOGITS])
        soft = (
            soft_multi_label_losses
            if self.problem_type == "multi_label_classification"
            else soft_target_losses
        )
        return soft(student[LOGITS], teacher[LOGITS], self.temperature)


@dataclass(frozen=True)
class HiddenStates:
    """Hidden states of paired layers, mean over pairs; layer 0 is the embeddings.

    Args:
        pairs: Student layer and teacher layer.
        project: Brings the student's width to the teacher's.
    """

    pairs: Sequence[tuple[int, int]]
    project: Callable[[Tensor], Tensor]

    @property
    def of_student(self) -> Sequence[str]:
        """The paired layers of the student."""
        return [f"hidden_{layer}" for layer, _ in self.pairs]

    @property
    def of_teacher(self) -> Sequence[str]:
        """The paired layers of the teacher."""
        return [f"hidden_{layer}" for _, layer in self.pairs]

    def losses(self, student: Tensors, teacher: Tensors, mask: Tensor) -> Tensor:
        """Mean squared error."""
        each = [
            hidden_state_losses(self.project(student[s]), teacher[t], mask)
            for s, t in zip(self.of_student, self.of_teacher, strict=True)
        ]
        return torch.stack(each).mean(0)


@dataclass(frozen=True)
class NearestHiddenStates:
    """As `HiddenStates`, but each teacher layer takes the nearest student layer at each step.

    Args:
        teacher_layers: Ascending.
        num_student_layers: All of them may be taken.
        project: Brings the student's width to the teacher's.
        reduce: Mean of the distances over processes, so that all choose the same.
    """

    teacher_layers: Sequence[int]
    num_student_layers: int
    project: Callable[[Tensor], Tensor]
    reduce: Callable[[Tensor], Tensor]

    @property
    def of_student(self) -> Sequence[str]:
        """All layers."""
        return [f"hidden_{layer + 1}" for layer in range(self.num_student_layers)]

    @property
    def of_teacher(self) -> Sequence[str]:
        """The chosen layers."""
        return [f"hidden_{layer}" for layer in self.teacher_layers]

    def losses(self, student: Tensors, teacher: Tensors, mask: Tensor) -> Tensor:
        """Mean squared error of the nearest, in order."""
        projected = [self.project(student[name]) for name in self.of_student]
        each = torch.stack(
            [
                torch.stack([hidden_state_losses(s, teacher[t], mask) for s in projected])
                for t in self.of_teacher
            ]
        )  # [teacher layers, student layers, batch]
        nearest = nearest_in_order(self.reduce(each.detach().mean(-1)).cpu())
        return torch.stack([each[t, s] for t, s in enumerate(nearest)]).mean(0)


@dataclass(frozen=True)
class Attentions:
    """Attention maps of paired layers, computed from queries and keys.

    Args:
        pairs: Student layer and teacher layer.
        num_heads: Of both.
    """

    pairs: Sequence[tuple[int, int]]
    num_heads: int

    @property
    def of_student(self) -> Sequence[str]:
        """Queries and keys of the paired layers."""
        return [f"{kind}_{layer}" for layer, _ in self.pairs for kind in ("query", "key")]

    @property
    def of_teacher(self) -> Sequence[str]:
        """Queries and keys of the paired layers."""
        return [f"{kind}_{layer}" for _, layer in self.pairs for kind in ("query", "key")]

    def losses(self, student: Tensors, teacher: Tensors, mask: Tensor) -> Tensor:
        """Squared error of the probabilities, mean over pairs."""
        each = [
            attention_map_losses(
                self._map(student, student_layer, mask), self._map(teacher, layer, mask), mask
            )
            for student_layer, layer in self.pairs
        ]
        return torch.stack(each).mean(0)

    def _map(self, features: Tensors, layer: int, mask: Tensor) -> Tensor:
        query, key = features[f"query_{layer}"].float(), features[f"key_{layer}"].float()
        return attention_probabilities(query, key, mask, self.num_heads)


@dataclass(frozen=True)
class Relations:
    """Relations among the queries, keys and values of one layer.

    Args:
        student_layer: Its number.
        teacher_layer: Its number.
        num_relation_heads: Into so many both are cut, whatever heads they have.
    """

    student_layer: int
    teacher_layer: int
    num_relation_heads: int

    @property
    def of_student(self) -> Sequence[str]:
        """Projections of the layer."""
        return [f"{kind}_{self.student_layer}" for kind in PROJECTIONS]

    @property
    def of_teacher(self) -> Sequence[str]:
        """Projections of the layer."""
        return [f"{kind}_{self.teacher_layer}" for kind in PROJECTIONS]

    def losses(self, student: Tensors, teacher: Tensors, mask: Tensor) -> Tensor:
        """Divergence of the relations, mean over queries, keys and values."""
        each = [
            relation_losses(student[s], teacher[t], mask, self.num_relation_heads)
            for s, t in zip(self.of_student, self.of_teacher, strict=True)
        ]
        return torch.stack(each).mean(0)


def identity(hidden: Tensor) -> Tensor:
    """In place of a projection where widths agree."""
    return hidden


class Projection(nn.Linear):
    """Brings the student's hidden states to the teacher's width; trains with the student.

    Args:
        student_width: Features of the student.
        teacher_width: Features of the teacher.
    """

    def __init__(self, student_width: int, teacher_width: int) -> None:
        super().__init__(student_width, teacher_width, bias=False)
