"""Kill `glint compress` at random moments, and compare what it ends with.

    python -m benchmarks.compress_kills --kills 20
    python -m benchmarks.compress_kills --kills 3 --stage int8 --mean 2

The demo's recipe on a part of the embedded task, once undisturbed and then, from the beginning, as
often as it takes for so many SIGKILLs, each at a random moment after a start: the time between them
is exponential, so that long stages end now and then. At the end of each of these runs weights of
every stage and the exported model must be the undisturbed run's, bit for bit. With `--stage` the
time counts from the beginning of this stage in place of the command's. It says where the kills
fell, and exits with 1 if anything differs.
"""

import argparse
import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

OPTIONS = (
    "--no_estimate",
    "--data.max_train_rows=480",
    "--trainer.max_epochs=1",
    "--checkpoint.every_n_steps=2",
)


def command(root: Path) -> list[str]:
    """Of the recipe in a folder."""
    recipe = "--config=configs/recipes/demo.yaml"
    return [sys.executable, "-m", "lightning_app", "compress", recipe, f"--root={root}", *OPTIONS]


def run_or_kill(root: Path, seconds: float | None, stage: str | None = None) -> str | None:
    """Start it, kill it, and say in which stage that was; None if it was done before.

    Args:
        root: Of the recipe.
        seconds: Until it is killed; None to let it end.
        stage: From whose beginning they count; None from the command's.

    Raises:
        subprocess.CalledProcessError: If it fails by itself.
    """
    started_at = time.time()
    process = subprocess.Popen(command(root), stdout=subprocess.DEVNULL)
    while stage is not None and process.poll() is None and not _is_at(root, stage, started_at):
        time.sleep(0.05)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
    finished = list((root / "demo").glob("0*/finished.json"))
    started = sorted(path.name for path in (root / "demo").glob("0*"))
    if process.returncode != -signal.SIGKILL:
        subprocess.CompletedProcess(process.args, process.returncode).check_returncode()
        return None
    return started[-1][3:-11] if len(started) > len(finished) else f"between, after {len(finished)}"


def _is_at(root: Path, stage: str, since: float) -> bool:
    """Whether the stage has begun, again, since then: its folder is emptied and filled."""
    places = list((root / "demo").glob(f"0*-{stage}-*"))
    return any(place.stat().st_mtime > since for place in places)


def contents(root: Path) -> dict[str, str]:
    """Hash of each stage's weights, and of the exported model."""
    plain: dict[str, Any] = json.loads((root / "demo/compress.json").read_text())
    found = {}
    for stage in plain["stages"]:
        if stage["checkpoint"] is not None:
            path = root / "demo" / stage["folder"] / stage["checkpoint"]
            found[stage["name"]] = _hash_of_weights(path)
    for file in sorted((root / "demo/artifacts").rglob("model.*")):
        found[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def _hash_of_weights(path: Path) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(torch.load(path, weights_only=True)["state_dict"].items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


def main() -> int:
    """Run both, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mean", type=float, default=30.0, help="seconds until a kill")
    parser.add_argument("--stage", help="kill in this one alone, of configs/recipes/demo.yaml")
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    where: Counter[str] = Counter()
    differ: list[str] = []
    with TemporaryDirectory() as folder:
        undisturbed = Path(folder) / "a"
        started = time.monotonic()
        subprocess.run(command(undisturbed), check=True)
        print(f"undisturbed: {time.monotonic() - started:.0f} s", flush=True)
        expected = contents(undisturbed)
        for number in count(1):
            killed = Path(folder) / f"b{number}"
            stage: str | None = ""
            while stage is not None:
                is_enough = where.total() >= arguments.kills
                least = 1.0 if arguments.stage is None else 0.0
                seconds = None if is_enough else least + draw.expovariate(1 / arguments.mean)
                stage = run_or_kill(killed, seconds, arguments.stage)
                where.update([] if stage is None else [stage])
            found = contents(killed)
            differ += [
                f"{name} of run {number}" for name in expected if expected[name] != found[name]
            ]
            print(f"{where.total()} kills in {number} runs: {dict(where)}", flush=True)
            if where.total() >= arguments.kills:
                break
    print(f"compared: {', '.join(expected)}; different: {', '.join(differ) or 'none'}")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
