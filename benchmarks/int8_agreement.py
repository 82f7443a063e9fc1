"""How exported int8 models answer, how large and how fast they are.

    python -m benchmarks.int8_agreement --ckpt_path RUN/checkpoints/best.ckpt --dataset FOLDER

Exports a quantized checkpoint of a GLUE task to ONNX and OpenVINO, in float32 and int8. Prints the
share of the validation set on which each predicts the label that PyTorch's simulation of the
rounding does, the size on disk, and latencies: medians over turns that alternate, of rows filled to
their length, with one thread unless told.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt

from datamodules import GLUEDataModule
from lightning_app.artifact import onnx_network, openvino_network
from lightning_app.artifact.formats import FORMATS, TOKENIZER
from lightning_app.artifact.manifest import Manifest, read_manifest
from lightning_app.artifact.runtime import RuntimeOptions
from lightning_app.artifact.text_encoder import Batch, TextEncoder
from lightning_app.artifact.text_model import Network, TextModel
from lightning_app.artifact.weights_network import WeightsNetwork
from lightning_app.commands.export import Export, FormatName
from modules import TextClassifier
from modules.fake_quantization import apply_quantization

NAMES: tuple[FormatName, ...] = tuple(n for n in get_args(FormatName) if FORMATS[n].group)
SIZES = ((1, 128), (1, 48), (32, 48))
"""Rows and tokens of the batches that are timed."""

Labels = npt.NDArray[np.int64]


def main() -> None:
    """Export, compare, time and print."""
    arguments = _parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        networks = {n: _exported(n, arguments, Path(folder)) for n in NAMES}
        manifest = read_manifest(Path(folder) / NAMES[-1])
        model = TextClassifier.load_from_checkpoint(arguments.ckpt_path).float().eval()
        assert model.network is not None
        torch_network = WeightsNetwork(model.network, arguments.threads)
        _compare({"simulation": torch_network, **networks}, manifest, folder, arguments.dataset)
        apply_quantization(model.network, None)
        _race({"torch float32": torch_network, **networks}, manifest, arguments.turns)


def predicted(
    network: Network, manifest: Manifest, folder: Path, columns: Sequence[list[str]]
) -> Labels:
    """Label numbers ``[rows]``."""
    encoder = TextEncoder(
        folder / TOKENIZER, manifest.max_seq_length, manifest.inputs, manifest.padding
    )
    logits = TextModel(folder, manifest, encoder, network).logits(*columns)
    labels: Labels = logits.argmax(-1)
    return labels


def filled(manifest: Manifest, rows: int, tokens: int) -> Batch:
    """A batch of made-up rows without padding."""
    random = np.random.default_rng(0)
    columns = {
        "input_ids": random.integers(1000, 10000, (rows, tokens)),
        "attention_mask": np.ones((rows, tokens), dtype=np.int64),
        "token_type_ids": np.zeros((rows, tokens), dtype=np.int64),
    }
    return {name: columns[name] for name in manifest.inputs}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--ckpt_path", required=True)
    parser.add_argument("--dataset", required=True, help="as `data.dataset` of `glint fit`")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=30)
    return parser


def _exported(name: FormatName, arguments: argparse.Namespace, folder: Path) -> Network:
    output = folder / name
    manifest = Export(arguments.ckpt_path, str(output), name, max_seq_length=128).run()
    print(f"{name}: {manifest.size / 1e6:.1f} MB", flush=True)
    opener = onnx_network if FORMATS[name].group == "onnx" else openvino_network
    return opener.open_network(output, manifest, RuntimeOptions(arguments.threads))


def _compare(
    networks: Mapping[str, Network], manifest: Manifest, folder: str, dataset: str
) -> None:
    data = GLUEDataModule(manifest.task.name, dataset=dataset)
    rows = data.raw_split("validation")
    columns = [list(rows[column]) for column in manifest.task.text_columns]
    labels = np.array(rows["label"])
    tokenizer_in = Path(folder) / NAMES[0]
    answers = {
        n: predicted(network, manifest, tokenizer_in, columns) for n, network in networks.items()
    }
    for name, found in answers.items():
        same, right = (found == answers["simulation"]).mean(), (found == labels).mean()
        print(f"{name}: as the simulation {same:.2%} of {len(found)} rows, right {right:.2%}")


def _race(networks: Mapping[str, Network], manifest: Manifest, turns: int) -> None:
    for rows, tokens in SIZES:
        batch = filled(manifest, rows, tokens)
        seconds: dict[str, list[float]] = {name: [] for name in networks}
        for _ in range(turns + 3):
            for name, network in networks.items():
                start = time.perf_counter()
                network(batch)
                seconds[name].append(time.perf_counter() - start)
        for name, taken in seconds.items():
            median = statistics.median(taken[3:]) * 1000
            print(f"{rows} x {tokens} tokens, {name}: {median:.2f} ms")
    print(f"load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
