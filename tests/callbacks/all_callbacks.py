"""Every callback that changes training, as the matrix of tests wants it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lightning.pytorch import Callback

from callbacks import (
    Distillation,
    GradualUnfreezing,
    LearningRateSchedule,
    MagnitudePruning,
    MovementPruning,
    OperatorSurgery,
    QuantizationAwareTraining,
    SecondOrderPruning,
    SparsitySchedule,
    StructuredPruning,
    WeightSchedule,
)

# 3 epochs of 6 steps; masks change before steps 3, 6, 9 and 12 and rest afterwards.
STEPS = SparsitySchedule(start=3, end=12, unit="steps", every_n_steps=3)
ANNEALED: dict[str, Any] = {"start": 3, "end": 12, "unit": "steps"}
ALL_TERMS: dict[str, Any] = dict.fromkeys(
    ("soft_targets", "hidden_states", "attentions", "relations", "embeddings"), 1.0
)
QUANTIZED: dict[str, Any] = {"start": 3, "unit": "steps"}
OBSERVED: dict[str, Any] = {**QUANTIZED, "scheme": "static", "freeze": 12}
ONE_SHOT = SparsitySchedule(shape="one_shot", start=3, unit="steps")


@dataclass(frozen=True)
class Case:
    """A callback with arguments that make it do something in a fit of 18 steps.

    Args:
        name: Shown by pytest.
        make: A new instance.
        sparsity: Share of zeros in the encoder's linear layers at the end; None if it has none.
        bad: Arguments that are refused, and what the sentence says.
    """

    name: str
    make: Callable[[], Callback]
    sparsity: float | None = None
    bad: tuple[tuple[dict[str, Any], str], ...] = field(default=())


def _weights(name: str, kind: Callable[..., Callback], sparsity: float, **options: Any) -> Case:
    given = {} if options.get("pattern") == "2:4" else {"sparsity": sparsity}
    return Case(name, lambda: kind(**{"schedule": STEPS, **given, **options}), sparsity)


SECOND_ORDER = {"num_gradients": 8, "block_size": 8, "gradient_batch_size": 2, "dampening": 1e-4}

CASES = (
    Case("learning_rate", lambda: LearningRateSchedule(warmup_fraction=0.2)),
    Case("unfreezing", lambda: GradualUnfreezing(epochs_per_layer=0.5)),
    _weights("magnitude", MagnitudePruning, 0.5),
    _weights("magnitude_one_shot", MagnitudePruning, 0.2, schedule=ONE_SHOT),
    _weights("magnitude_global", MagnitudePruning, 0.5, scope="global"),
    _weights("magnitude_blocks", MagnitudePruning, 0.5, pattern="4x1"),
    _weights("magnitude_2:4", MagnitudePruning, 0.5, pattern="2:4"),
    _weights("random", MagnitudePruning, 0.5, criterion="random"),
    _weights("movement", MovementPruning, 0.75, score_every_n_steps=3),
    _weights("movement_each_step", MovementPruning, 0.75, score_every_n_steps=1),
    _weights("movement_global", MovementPruning, 0.75, scope="global"),
    Case("movement_soft", lambda: MovementPruning(kind="soft", threshold=0.5, schedule=STEPS)),
    _weights("second_order", SecondOrderPruning, 0.75, **SECOND_ORDER),
    _weights("second_order_recycled", SecondOrderPruning, 0.75, num_gradients=0),
    _weights("second_order_blocks", SecondOrderPruning, 0.5, pattern="4x1", **SECOND_ORDER),
    Case("structured", lambda: StructuredPruning(heads=0.5, neurons=0.5, num_samples=16)),
    Case("structured_layers", lambda: StructuredPruning(keep_layers=1)),
    Case("structured_gradual", lambda: StructuredPruning(heads=0.5, neurons=0.5, schedule=STEPS)),
    Case(
        "structured_gradual_parameters",
        lambda: StructuredPruning(parameters=0.4, importance="magnitude", schedule=STEPS),
    ),
    Case("operators_relu", lambda: OperatorSurgery(**ANNEALED)),
    Case("operators_affine", lambda: OperatorSurgery(relu=False, affine_norm=True, **ANNEALED)),
    Case("distillation", lambda: Distillation(**ALL_TERMS)),
    Case(
        "distillation_adaptive",
        lambda: Distillation(hidden_states=1.0, task=0.0, layer_map="adaptive"),
    ),
    Case("qat_dynamic", lambda: QuantizationAwareTraining(**QUANTIZED)),
    Case("qat_static", lambda: QuantizationAwareTraining(**OBSERVED)),
    Case(
        "qat_static_percentile",
        lambda: QuantizationAwareTraining(
            **OBSERVED, observer="percentile", percentile=99, weight_bits=7
        ),
    ),
    Case(
        "qat_4_bits",
        lambda: QuantizationAwareTraining("weight_only", weight_bits=4, group_size=5, **QUANTIZED),
    ),
    Case("operators_both", lambda: OperatorSurgery(affine_norm=True, **ANNEALED)),
)
"""The matrix; a new callback joins it and gets all the tests."""
MASKING = tuple(case for case in CASES if case.sparsity is not None)
QUANTIZING = tuple(case for case in CASES if isinstance(case.make(), QuantizationAwareTraining))

_SHARES = (
    ({}, "`sparsity` to be in \\(0, 1\\), got None"),
    ({"sparsity": 1.2}, "`sparsity` to be in \\(0, 1\\), got 1.2"),
    ({"sparsity": 0.0}, "`sparsity` to be in \\(0, 1\\), got 0.0"),
    ({"sparsity": 0.5, "pattern": "4:2"}, "`pattern` to be `unstructured`.*got '4:2'"),
    ({"sparsity": 0.9, "pattern": "2:4"}, "`sparsity` to be 0.5 with `pattern: 2:4`, got 0.9"),
    ({"sparsity": 0.5, "scope": "all"}, "`scope` to be `layer` or `global`, got 'all'"),
    ({"pattern": "2:4", "scope": "global"}, "`scope: layer`.*got `global`"),
    ({"pattern": "2:4", "plan": "plan.yaml"}, "either `plan` or an n:m `pattern`"),
    ({"sparsity": 1.0, "plan": "plan.yaml"}, "`sparsity` to be in \\(0, 1\\), got 1.0"),
    ({"plan": "plan.yaml", "scope": "global"}, "`scope: layer`.*got `global`"),
)
BAD_ARGUMENTS: tuple[tuple[Callable[..., object], dict[str, Any], str], ...] = (
    *((MagnitudePruning, arguments, match) for arguments, match in _SHARES),
    *((SecondOrderPruning, arguments, match) for arguments, match in _SHARES),
    (MagnitudePruning, {"sparsity": 0.5, "criterion": "l3"}, "`criterion` to be one of l1, l2"),
    (MovementPruning, {"sparsity": 0.5, "kind": "warm"}, "`kind` to be `hard` or `soft`"),
    (MovementPruning, {"sparsity": 0.5, "kind": "soft"}, "follows from `threshold`"),
    (MovementPruning, {"kind": "soft", "score_learning_rate": 0}, "above 0 and with `kind: soft`"),
    (MovementPruning, {"sparsity": 0.5, "score_learning_rate": 0.1}, "got 0.1 with 'hard'"),
    (MovementPruning, {"sparsity": 0.5, "score_every_n_steps": 0}, "at least 1, got 0"),
    (MovementPruning, {"kind": "soft", "threshold": 1.0}, "`threshold` to be in \\(0, 1\\)"),
    (MovementPruning, {"sparsity": 0.5, "regularization": 1.0}, "with `kind: soft`"),
    (SecondOrderPruning, {"sparsity": 0.5, "block_size": 0}, "`block_size` to be at least 1"),
    (SecondOrderPruning, {"sparsity": 0.5, "dampening": 0.0}, "`dampening` to be above 0"),
    (StructuredPruning, {}, "one of `heads`, `neurons`"),
    (StructuredPruning, {"heads": 1.0}, "`heads` to be in \\[0, 1\\), got 1.0"),
    (StructuredPruning, {"heads": 0.5, "parameters": 0.5}, "Expected one target"),
    (StructuredPruning, {"heads": 0.5, "layout": "hf_uniform"}, "set `layout: free`"),
    (StructuredPruning, {"heads": 0.5, "plan": "plan.yaml"}, "one target, got plan beside"),
    (StructuredPruning, {"flops": 0.5, "plan": "plan.yaml"}, "one target, got flops, plan"),
    (StructuredPruning, {"keep_layers": 1, "plan": "plan.yaml"}, "either `plan`.*or `keep_layers`"),
    (StructuredPruning, {"plan": "plan.yaml", "scope": "global"}, "`scope: layer` with a `plan`"),
    (StructuredPruning, {"plan": "plan.yaml", "layout": "hf_uniform"}, "set `layout: free`"),
    (StructuredPruning, {"neurons": 0.5, "importance": "l1"}, "`importance` to be one of"),
    (StructuredPruning, {"keep_layers": 1, "schedule": STEPS}, "leave `schedule` out"),
    (Distillation, {"soft_targets": 0.0}, "a weight above 0 for one of"),
    (Distillation, {"hidden_states": -1.0}, "`hidden_states` to be at least 0, got -1.0"),
    (Distillation, {"temperature": 0.0}, "`temperature` to be above 0, got 0.0"),
    (Distillation, {"layer_map": "first"}, "`layer_map` to be one of kept, even, last, adaptive"),
    (Distillation, {"precision": "half"}, "`precision` to be one of run, float32, bfloat16"),
    (
        Distillation,
        {"attentions": 1.0, "layer_map": "adaptive"},
        "`even` or `last` with `attentions`",
    ),
    (Distillation, {"schedules": {"relations": WeightSchedule()}}, "`schedules` to name terms"),
    (Distillation, {"gradient_shares_every_n_steps": -1}, "at least 0, got -1"),
    (OperatorSurgery, {"relu": False}, "`relu` or `affine_norm` to be true, got neither"),
    (OperatorSurgery, {"num_samples": 0}, "`num_samples` to be at least 1, got 0"),
    (OperatorSurgery, {"start": 0.5, "end": 0.2}, "`end` to be at least `start`.* start=0.2"),
    (OperatorSurgery, {"start": -1.0}, "^Expected `start` to be at least 0, got -1.0"),
    (OperatorSurgery, {"unit": "days"}, "^Expected `unit` to be one of fraction, epochs, steps"),
    (OperatorSurgery, {"unit": "steps"}, "^Expected `end` with `unit: steps`, got None"),
    (QuantizationAwareTraining, {"scheme": "int8"}, "`scheme` to be one of dynamic, static"),
    (QuantizationAwareTraining, {"freeze": 0.5}, "`freeze` with `scheme: static`.*'dynamic'"),
    (QuantizationAwareTraining, {"scheme": "static", "unit": "steps"}, "`unit: steps`, got None"),
    (
        QuantizationAwareTraining,
        {"scheme": "static", "start": 0.5, "freeze": 0.5},
        "`freeze` to be after `start`, got start=0.5, freeze=0.5",
    ),
    (QuantizationAwareTraining, {"start": -0.1}, "`start` to be at least 0, got -0.1"),
    (QuantizationAwareTraining, {"unit": "days"}, "`unit` to be one of fraction, epochs, steps"),
    (QuantizationAwareTraining, {"weight_bits": 9}, "`weight_bits` to be in \\[2, 8\\], got 9"),
    (QuantizationAwareTraining, {"group_size": 1}, "`group_size` to be at least 2, got 1"),
    (QuantizationAwareTraining, {"observer": "mean"}, "one of min_max, percentile, got 'mean'"),
    (QuantizationAwareTraining, {"percentile": 0}, "`percentile` to be in \\(0, 100\\], got 0"),
    (QuantizationAwareTraining, {"averaging_constant": 0}, "in \\(0, 1\\], got 0"),
    (SparsitySchedule, {"start": 0.5, "end": 0.2}, "did you mean start=0.2, end=0.5"),
    (SparsitySchedule, {"shape": "round"}, "`schedule.shape` to be one of one_shot, linear"),
    (SparsitySchedule, {"unit": "days"}, "`schedule.unit` to be one of fraction, epochs, steps"),
    (SparsitySchedule, {"unit": "steps"}, "`schedule.end` with `schedule.unit: steps`"),
    (SparsitySchedule, {"every_n_steps": 0}, "`schedule.every_n_steps` to be at least 1"),
    (SparsitySchedule, {"initial_sparsity": 1.0}, "`schedule.initial_sparsity` to be in"),
    (SparsitySchedule, {"start": -1.0}, "`schedule.start` to be at least 0"),
)
