"""What a student looks like beside the network that it is made from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from lightning_app.errors import InputError
from lightning_app.functional.layer_map import even_layers, last_layers

LayerMap = Literal["even", "first", "last", "searched"]
LAYER_MAPS = ("even", "first", "last", "searched")
SIZES = ("hidden_size", "num_heads", "intermediate_size")


@dataclass(frozen=True)
class StudentStructure:
    """Sizes of a student of the same family, and where its weights come from.

    Sizes that are left out are the base model's. From the teacher, layers are copied (Sanh et al.
    2019, "DistilBERT", arXiv:1910.01108, section 3), heads and FFN neurons are cut by magnitude,
    and hidden dimensions, the same ones everywhere, by the size of what LayerNorms give (see
    `modules.hidden_size`). Fresh is the base model's configuration with other sizes and random
    weights (Turc et al. 2019, "Well-Read Students Learn Better", arXiv:1908.08962, is on what
    pre-training adds to it).

    Args:
        num_layers: How many encoder layers, or which of the base model's: ascending positions,
            counted from 0.
        hidden_size: Dimensions of the hidden states.
        num_heads: Attention heads of each layer. A `transformers` configuration knows heads of
            ``hidden_size / num_heads`` channels alone: from the teacher, fewer heads in an
            unchanged ``hidden_size`` keep their channels and open through the record.
        intermediate_size: Neurons of each FFN.
        layer_map: Which layers a number means: ``even``, evenly spaced with the last one among
            them, ``first``, ``last``, or ``searched`` on training rows of a fine-tuned model.
        weights: ``teacher`` for those of ``model_name_or_path``, ``fresh`` for random ones.

    Raises:
        InputError: If a size is below 1, positions do not ascend, or arguments exclude each other.

    Example::

        --model.structure.num_layers=6
    """

    num_layers: int | list[int] | None = None
    hidden_size: int | None = None
    num_heads: int | None = None
    intermediate_size: int | None = None
    layer_map: LayerMap = "even"
    weights: Literal["teacher", "fresh"] = "teacher"

    def __post_init__(self) -> None:
        _check_one_of("layer_map", self.layer_map, LAYER_MAPS)
        _check_one_of("weights", self.weights, ("teacher", "fresh"))
        for name in ("num_layers", *SIZES):
            size = getattr(self, name)
            if isinstance(size, int) and size < 1:
                raise InputError(f"Expected `model.structure.{name}` to be at least 1, got {size}.")
        if isinstance(self.num_layers, list):
            _check_positions(self.num_layers)
        self._check_combination()

    @property
    def changes_width(self) -> bool:
        """Whether more than the number of layers is given."""
        return any(getattr(self, name) is not None for name in SIZES)

    def layers(self, count: int) -> list[int]:
        """Positions of the base model's layers that the student takes.

        Args:
            count: Number of layers that the base model has.

        Raises:
            InputError: If it has not so many.
        """
        if self.num_layers is None:
            return list(range(count))
        if isinstance(self.num_layers, int):
            if self.num_layers > count:
                raise InputError(
                    f"Expected `model.structure.num_layers` to be in [1, {count}], as the base"
                    f" model has {count} layers, got {self.num_layers}; take fewer, or"
                    " `weights: fresh`."
                )
            return mapped_layers(self.num_layers, count, self.layer_map)
        if self.num_layers[-1] >= count:
            raise InputError(
                f"Expected `model.structure.num_layers` to be positions in [0, {count}), as the"
                f" base model has {count} layers, got {self.num_layers}; count from 0."
            )
        return list(self.num_layers)

    @property
    def wants_search(self) -> bool:
        """Whether the layers are to be found on data."""
        return self.layer_map == "searched"

    def with_layers(self, layers: list[int]) -> "StudentStructure":
        """The same structure of these layers, which a search has found."""
        return replace(self, num_layers=layers, layer_map="even")

    def as_plain(self) -> dict[str, Any]:
        """Plain values, safe in a ``weights_only`` checkpoint."""
        return asdict(self)

    @classmethod
    def from_plain(
        cls, plain: "StudentStructure | Mapping[str, Any] | None"
    ) -> "StudentStructure | None":
        """From :meth:`as_plain`; a structure, or None, is returned as it is."""
        return cls(**plain) if isinstance(plain, Mapping) else plain

    def _check_combination(self) -> None:
        if self.weights == "fresh" and isinstance(self.num_layers, list):
            raise InputError(
                "Expected `model.structure.num_layers` to be a number with `weights: fresh`, which"
                f" copies no layers, got {self.num_layers}; set {len(self.num_layers)}, or"
                " `weights: teacher`."
            )
        number = isinstance(self.num_layers, int)
        if self.layer_map != "even" and not (number and self.weights == "teacher"):
            raise InputError(
                "Expected `model.structure.layer_map` with a number as `num_layers` and `weights:"
                f" teacher`, got layer_map={self.layer_map!r}, num_layers={self.num_layers},"
                f" weights={self.weights!r}; leave `layer_map` out, or set a number."
            )
        if self.weights == "teacher" and self.num_layers is None and not self.changes_width:
            raise InputError(
                f"Expected one of `num_layers`, {', '.join(f'`{name}`' for name in SIZES)} or"
                " `weights: fresh` in `model.structure`, got none; set, for example,"
                " `num_layers: 3`, or leave `structure` out."
            )


def mapped_layers(wanted: int, count: int, layer_map: LayerMap) -> list[int]:
    """Ascending positions of ``wanted`` of ``count`` layers.

    Args:
        wanted: In [1, count].
        count: Number of layers there are.
        layer_map: ``even``, evenly spaced with the last one among them, ``first`` or ``last``.
    """
    if layer_map == "first":
        return list(range(wanted))
    if layer_map == "searched":
        raise ValueError("Expected `layer_map` even, first or last, got searched: see layer_search")
    find = even_layers if layer_map == "even" else last_layers
    return [layer - 1 for layer in find(wanted, count)]


def _check_one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(
            f"Expected `model.structure.{name}` to be one of {', '.join(known)}, got {value!r}."
        )


def _check_positions(layers: list[int]) -> None:
    if not layers or layers != sorted(set(layers)) or layers[0] < 0:
        raise InputError(
            "Expected `model.structure.num_layers` to be a number, or one or more different"
            f" positions in ascending order, counted from 0, got {layers}."
        )
