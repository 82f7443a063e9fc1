"""How far clipping of activations moves a model's answers, by the share that is kept.

    python -m benchmarks.activation_clipping --checkpoints RUN/checkpoints/best.ckpt ... \
        --dataset FOLDER

`glint quantize` to static int8 with `percentile` and `min_max`, of fine-tuned checkpoints of GLUE,
on the validation rows: the Kullback-Leibler divergence of the answers from those in float32, mean
over rows, beside the score. A score has steps of a row; the divergence says the same earlier.
"""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import nullcontext

import torch

from callbacks.quantizable_modules import quantizable_modules
from datamodules import GLUEDataModule
from lightning_app.commands.activation_ranges import activation_ranges
from lightning_app.commands.row_scorer import RowScorer
from lightning_app.structure_search.answer_distance import AnswerDistance
from modules import TextClassifier
from modules.fake_quantization import apply_quantization
from modules.network_inputs import network_inputs
from modules.quantization import ModuleQuantization, Quantization
from modules.structure import evaluation_mode

PERCENTILES = (99.9, 99.99, 99.999, 100.0)
NUM_ROWS, BATCH_SIZE = 512, 32


def lines(checkpoint: str, dataset: str, percentiles: Sequence[float]) -> Iterator[str]:
    """Of a Markdown table."""
    model = TextClassifier.load_from_checkpoint(checkpoint)
    assert model.network is not None
    assert model.task is not None
    data = GLUEDataModule(model.task.name, dataset=dataset, tokenizer=checkpoint)
    data.setup("fit")
    loader = data.val_dataloader()[0]
    names = quantizable_modules(model, None, None)
    linears = [n for n in names if isinstance(model.network.get_submodule(n), torch.nn.Linear)]
    batches = list(data.calibration_loader(NUM_ROWS, BATCH_SIZE, seed=42))
    with evaluation_mode(model), torch.inference_mode():
        distance = AnswerDistance(model, [network_inputs(batch) for batch in loader])
        scorer = RowScorer(model, model.task, {"validation": loader}, nullcontext)
        yield f"| {checkpoint} | float32 | 0 | {scorer.score().score:.4f} |"
        for percentile in percentiles:
            kind = "min_max" if percentile == 100 else "percentile"
            ranges = activation_ranges(model.network, linears, batches, kind, percentile)
            how = {name: ModuleQuantization("static") for name in linears}
            apply_quantization(model.network, Quantization(how).with_ranges(ranges))
            distance.start_at(0)
            found = f"{distance.of_present_model():.4f} | {scorer.score().score:.4f}"
            apply_quantization(model.network, None)
            yield f"| | {f'{percentile:g} %' if percentile < 100 else 'min_max'} | {found} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", nargs="+", required=True)
    parser.add_argument("--dataset", required=True, help="folder in the layout of nyu-mll/glue")
    parser.add_argument("--percentiles", nargs="+", type=float, default=PERCENTILES)
    arguments = parser.parse_args()
    print("| checkpoint | activations kept | divergence | score |\n| --- | --- | --- | --- |")
    for checkpoint in arguments.checkpoints:
        for line in lines(checkpoint, arguments.dataset, arguments.percentiles):
            print(line, flush=True)


if __name__ == "__main__":
    main()
