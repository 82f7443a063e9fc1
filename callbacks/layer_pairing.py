"""Which layers of a student a teacher's layers teach, and whether they can."""

from dataclasses import dataclass
from typing import Literal

from callbacks.distillation_terms import Attentions, Relations
from lightning_app.errors import InputError
from lightning_app.functional.layer_map import even_layers, kept_layers, last_layers
from modules.families import layer_parts, layout_of
from modules.teacher import Teacher
from modules.text_classifier import TextClassifier

LayerMap = Literal["kept", "even", "last", "adaptive"]
LAYER_MAPS = ("kept", "even", "last", "adaptive")


@dataclass(frozen=True)
class LayerPairing:
    """Layers and heads of student and teacher, read when a term asks for them.

    Args:
        student: With its network.
        teacher: Of any sizes.
    """

    student: TextClassifier
    teacher: Teacher

    @property
    def student_layers(self) -> int:
        """Number of the student's encoder layers."""
        return int(self.student.network.config.num_hidden_layers)  # type: ignore[union-attr]

    @property
    def teacher_layers(self) -> int:
        """Number of the teacher's encoder layers."""
        return int(self.teacher.network.config.num_hidden_layers)

    def pairs(self, layer_map: LayerMap) -> list[tuple[int, int]]:
        """For each of the student's layers, counted from 1, the teacher's layer.

        Args:
            layer_map: ``kept``, ``even`` or ``last``.

        Raises:
            InputError: If there are not enough layers for ``last``.
        """
        if layer_map == "last" and self.student_layers > self.teacher_layers:
            raise InputError(
                "Expected `layer_map: even` with a student of more layers than its teacher"
                f" ({self.student_layers}, {self.teacher_layers}), got 'last'."
            )
        layers = last_layers if layer_map == "last" else even_layers
        chosen = self._kept() if layer_map == "kept" else None
        if chosen is None:
            chosen = layers(self.student_layers, self.teacher_layers)
        return [(layer + 1, teacher_layer) for layer, teacher_layer in enumerate(chosen)]

    def _kept(self) -> list[int] | None:
        """The teacher's layers that the student's were; None where it was not cut from it."""
        assert self.student.architecture is not None
        history = self.student.architecture.history
        steps = [entry["layers"] for entry in history if entry.get("layers")]
        kept = kept_layers(steps, self.teacher_layers)
        return kept if kept is not None and len(kept) == self.student_layers else None

    def attentions(self, layer_map: LayerMap) -> Attentions:
        """Attention maps of these pairs.

        Raises:
            InputError: If the numbers of heads differ, or maps are not of queries and keys alone.
        """
        networks = (self.student.network, self.teacher.network)
        counts = [{parts.num_heads for parts in layer_parts(n)} for n in networks]  # type: ignore[arg-type]
        if counts[0] != counts[1] or len(counts[0]) > 1:
            raise InputError(
                "Expected as many heads in each layer of student and teacher for `attentions`, got"
                f" {sorted(counts[0])} and {sorted(counts[1])}; use `relations`, which any numbers"
                " of heads have."
            )
        if any(layout_of(n).shares_position_bias for n in networks):  # type: ignore[arg-type]
            raise InputError(
                "Expected a family whose attention is of queries and keys alone for `attentions`,"
                f" got {self.student.network.config.model_type!r}; use `relations`."  # type: ignore[union-attr]
            )
        return Attentions(self.pairs(layer_map), counts[0].pop())

    def relations(self, layer: int | None, heads: int | None) -> Relations:
        """Relations of the student's last layer and one of the teacher's.

        Args:
            layer: The teacher's, from 1; its last by default.
            heads: Parts of queries, keys and values; as many as the teacher has heads by default.

        Raises:
            InputError: If there is no such layer, or the heads do not divide the channels.
        """
        layer = layer or self.teacher_layers
        if not 1 <= layer <= self.teacher_layers:
            raise InputError(
                f"Expected `relation_layer` to be in [1, {self.teacher_layers}], the teacher's"
                f" layers, got {layer}."
            )
        parts = [
            layer_parts(self.student.network)[-1],  # type: ignore[arg-type]
            layer_parts(self.teacher.network)[layer - 1],
        ]
        heads = heads or parts[1].num_heads
        for who, part in zip(("student", "teacher"), parts, strict=True):
            channels = part.query.out_features
            if channels % heads:
                raise InputError(
                    f"Expected `relation_heads` to divide the {channels} channels of the {who}'s"
                    f" queries, got {heads}; choose one of {_divisors(channels)}."
                )
        return Relations(self.student_layers, layer, heads)


def _divisors(number: int) -> str:
    return ", ".join(str(n) for n in range(1, 65) if number % n == 0)
