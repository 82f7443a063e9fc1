"""Memory and start-up with a large file of one's own: generated rows through TextFilesDataModule.

    python -m benchmarks.scale            100,000 and 1,000,000 rows, each in processes of its own

For each size: the first start (reads and tokenizes), then the second (finds the cache), each to the
first 200 training batches. Anonymous memory is what the process itself holds; memory-mapped pages
of the cache come and go with what the system can spare, and are given beside it.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SUBJECTS = ("the old engine", "a new recipe", "our neighbour", "the second report", "this garden")
VERBS = ("surprised", "pleased", "annoyed", "helped", "confused", "delighted", "bored")
OBJECTS = ("the visitors", "every reader", "the whole team", "nobody", "the buyers", "critics")


def write_rows(path: Path, num_rows: int) -> None:
    """A CSV of 8 to 40 words a row."""
    draw = random.Random(0)
    with path.open("w") as file:
        file.write("text,label\n")
        for row in range(num_rows):
            parts = [
                f"{draw.choice(SUBJECTS)} {draw.choice(VERBS)} {draw.choice(OBJECTS)}"
                for _ in range(draw.randint(1, 5))
            ]
            file.write(f"{row} {' and '.join(parts)},{draw.choice('abc')}\n")


def start(path: str) -> None:
    """Prepare the data, draw 200 batches, and print what it took."""
    from datamodules import TextFilesDataModule

    begin = time.perf_counter()
    data = TextFilesDataModule(path, tokenizer="embedded", max_seq_length=64, train_batch_size=32)
    data.prepare_data()
    data.setup("fit")
    loader = iter(data.train_dataloader())
    next(loader)
    seconds = time.perf_counter() - begin
    for _ in range(199):
        next(loader)
    status = Path("/proc/self/status").read_text().splitlines()
    memory = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in status if "Rss" in line}
    print(json.dumps({"seconds": seconds, "anonymous_mb": memory["RssAnon"]} | _peak()))


def _peak() -> dict[str, float]:
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return {"peak_with_mapped_mb": peak / 1024}


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--start", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.start:
        start(arguments.start)
        return
    print(
        "| rows | start | seconds to the first batch | anonymous MiB | peak MiB with mapped pages |"
    )
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "HF_DATASETS_CACHE": f"{folder}/cache"}
        environment["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
        for num_rows in arguments.rows:
            path = Path(folder) / f"rows{num_rows}.csv"
            write_rows(path, num_rows)
            for which in ("first", "second"):
                command = [sys.executable, "-m", "benchmarks.scale", "--start", str(path)]
                output = subprocess.run(
                    command, check=True, env=environment, stdout=subprocess.PIPE, text=True
                ).stdout
                result = json.loads(output.splitlines()[-1])
                print(
                    f"| {num_rows:,} | {which} | {result['seconds']:.1f} |"
                    f" {result['anonymous_mb']:.0f} | {result['peak_with_mapped_mb']:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
