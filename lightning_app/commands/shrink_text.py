"""What `glint shrink` did, for the terminal."""

from pathlib import Path

from lightning_app.artifact.formats import format_named
from lightning_app.commands.shrink import ShrinkResult


def shrink_summary(result: ShrinkResult) -> str:
    """What was taken out and what that is to give, for the terminal."""
    choice = result.choice
    layers = f"{len(choice.kept)} of {len(choice.layers)} layers stay"
    shapes = "; ".join(f"{len(s.heads)} heads, {s.intermediate_size}" for s in choice.shapes)
    lines = [f"{layers}; heads and FFN neurons of each: {shapes}"]
    lines.append(f"parameters: {result.parameters_before:,}, now {choice.parameters:,}")
    if choice.predicted_ms is not None:
        times = f"predicted {choice.predicted_ms:.2f} ms, {result.before_ms:.2f} before"
        speedup = result.predicted_speedup
        if speedup is not None:
            times += f"; the reference in PyTorch {result.reference_ms:.2f}: {speedup:.2f} times"
        lines.append(times)
    if not choice.meets_budget:
        lines.append("the target is NOT met: this is the nearest structure that there is")
    return "\n".join(lines)


def next_command(
    result: ShrinkResult, runtime: str, config: str, target: Path, checkpoint: Path
) -> str:
    """What to do next: train what is left, or ship the model, where nothing was taken out.

    Args:
        result: Of the command.
        runtime: A format of `glint export`.
        config: Of the checkpoint's fit.
        target: What was written.
        checkpoint: What was shrunk.
    """
    if result.choice.parameters < result.parameters_before:
        return (
            f"glint fit --config {config} --config configs/callbacks/distillation.yaml"
            f" --trainer.callbacks.teacher {checkpoint} --model.model_name_or_path {target}"
        )
    if format_named(runtime).is_int8:
        return f"glint quantize --config {config} --ckpt_path {checkpoint}"
    return f"glint export --ckpt_path {checkpoint} --format {runtime} --output DIR"
