"""What a stage's options become on a command line."""

from pathlib import Path

from lightning_app.recipes.recipe import PlannedStage
from lightning_app.recipes.stage import Stage, Target
from lightning_app.recipes.stage_commands import COMMANDS, Earlier

EARLIER = Earlier(Path("best.ckpt"), Path("config.yaml"), None, Path("dense.ckpt"), [Path("a")])


def arguments(stage: Stage, target: Target) -> list[str]:
    planned = PlannedStage(stage, {}, target)
    return COMMANDS[stage.kind].arguments(planned, Path("folder"), EARLIER)


def test_switches_of_export_and_benchmark_take_no_value() -> None:
    export = Stage("small", "export", options={"measure": False, "max_seq_length": 64})
    found = arguments(export, Target())
    assert found[-2:] == ["--no_measure", "--max_seq_length=64"]
    assert "--format=openvino-int8" in found
    benchmark = arguments(Stage("all", "benchmark", options={"measure": True}), Target())
    assert benchmark[-1] == "--measure"


def test_a_number_of_parameters_is_whole() -> None:
    found = arguments(Stage("shrink", "shrink"), Target(parameters=15_000))
    assert "--shrink.parameters=15000" in found
    found = arguments(Stage("shrink", "shrink"), Target(speedup=2.5))
    assert "--shrink.speedup=2.5" in found
    shrink = Stage("shrink", "shrink", options={"drop_layers": False})
    assert arguments(shrink, Target(speedup=4.0))[-1] == "--shrink.drop_layers=false"
