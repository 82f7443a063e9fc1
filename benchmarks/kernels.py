"""What each of Glint's kernels gains on the shapes of MiniLM-L6 (12 heads of 32, FFN of 1536).

    python -m benchmarks.kernels                one thread; --threads 2 for two

All pairs take turns in each round, so that a noisy machine is noisy for all; given are medians
over the rounds, of the wall's clock. "oneDNN" is the switch of `lightning_app.matmul` whether or
not it would be taken on this machine, which is said first. Memory settings are a process's, so the
last rows compare processes. Prints a Markdown table. One to two minutes.
"""

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.turns import Turn, Worker

HEADS, HEAD_SIZE, HIDDEN, INTERMEDIATE = 12, 32, 384, 1536
BATCH, LENGTH = 8, 56  # a batch of MRPC, sorted by length
ROWS = 436  # its tokens, as rows of a matrix product
DROPOUT = 0.1
TURN_SECONDS = 0.02
ALLOCATIONS = ("given back", "kept", "kept on huge pages")
WIDTHS = (LENGTH - 8, LENGTH, LENGTH + 8)  # of the steps of a turn

Kernel = Callable[[], object]


@dataclass
class Pair:
    """Two ways to compute one thing, and the milliseconds of each turn."""

    name: str
    before: Kernel
    after: Kernel
    milliseconds: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    repetitions: tuple[int, int] = (1, 1)

    def warm_up(self) -> None:
        """Fill caches, and choose the repetitions that make a turn long enough to be timed."""
        for kernel in (self.before, self.after):
            kernel()
        times = [_milliseconds(kernel, 2) for kernel in (self.before, self.after)]
        first, second = (max(1, round(TURN_SECONDS * 1000 / t)) for t in times)
        self.repetitions = first, second

    def take_turns(self) -> None:
        """One turn of each."""
        kernels = (self.before, self.after)
        for kernel, count, kept in zip(kernels, self.repetitions, self.milliseconds, strict=True):
            kept.append(_milliseconds(kernel, count))

    def row(self) -> str:
        """A line of the table."""
        before, after = (statistics.median(turns) for turns in self.milliseconds)
        return _row(self.name, before, after)


def _milliseconds(kernel: Kernel, repetitions: int) -> float:
    start = time.perf_counter()
    for _ in range(repetitions):
        kernel()
    return (time.perf_counter() - start) * 1000 / repetitions


def _row(name: str, before: float, after: float) -> str:
    return f"| {name} | {_in_ms(before)} | {_in_ms(after)} | {before / after:.2f} |"


def _in_ms(milliseconds: float) -> str:
    return f"{milliseconds:.{0 if milliseconds >= 100 else 2}f} ms"


def attention_pairs() -> Iterator[Pair]:
    """`modules.attention`, forward and backward, against torch's."""
    for batch, length in ((BATCH, LENGTH), (4, 256)):
        shape = f"{batch} x {HEADS} x {length}"
        theirs, ours = _attention(batch, length, DROPOUT)
        flash, _ = _attention(batch, length, 0.0)
        yield Pair(f"attention with dropout, {shape}: torch, ours", theirs, ours)
        faster = _within(_onednn, ours)
        yield Pair(f"attention with dropout, {shape}: torch, ours in oneDNN", theirs, faster)
        yield Pair(f"attention, {shape}: flash without dropout, ours with", flash, ours)
    for length in (LENGTH, 128):
        flash, ours = _attention(BATCH, length, 0.0)
        yield Pair(f"attention without dropout, {length} keys: flash, ours", flash, ours)
    flash, _ = _attention(BATCH, LENGTH, 0.0)
    yield Pair("flash attention, why it is off: MKL, oneDNN", flash, _within(_onednn, flash))


def _attention(batch: int, length: int, dropout: float) -> tuple[Kernel, Kernel]:
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    from modules.attention import dropout_attention
    from modules.dropout import keep_mask

    query, key, value = inputs = [
        torch.randn(batch, length, HEADS, HEAD_SIZE).transpose(1, 2).requires_grad_()
        for _ in range(3)
    ]
    mask = torch.zeros(batch, 1, length, length)
    gradient = torch.randn(batch, length, HEADS, HEAD_SIZE)
    shape = torch.Size((batch, HEADS, length, length))

    def theirs() -> object:
        out = scaled_dot_product_attention(query, key, value, mask, dropout)
        return torch.autograd.grad(out.transpose(1, 2).contiguous(), inputs, gradient)

    def ours() -> object:
        keep = keep_mask(shape, dropout) if dropout else None
        out = dropout_attention(query, key, value, mask, keep, HEAD_SIZE**-0.5, 1 - dropout)
        return torch.autograd.grad(out, inputs, gradient)

    return theirs, ours


def small_pairs() -> Iterator[Pair]:
    """Softmax of short rows, and the random mask of dropout."""
    import torch

    from modules.attention import _softmax_
    from modules.dropout import keep_mask

    scores = torch.randn(32 * HEADS, 14, 14)  # SST-2 at batch 32
    yield Pair(
        "softmax, 384 x 14 x 14: torch, ours",
        lambda: torch.softmax(scores, -1),
        lambda: _softmax_(scores),
    )
    shape = torch.Size((ROWS, HIDDEN))
    yield Pair(
        "dropout mask, 167,000 elements: torch, ours",
        lambda: torch.empty(shape).bernoulli_(1 - DROPOUT),
        lambda: keep_mask(shape, DROPOUT),
    )


def selection_pair() -> Pair:
    """The threshold of a mask: the median of an FFN's weights."""
    import torch

    from lightning_app.functional.masks import _kth_lowest

    scores = torch.randn(INTERMEDIATE * HIDDEN).abs()
    half = len(scores) // 2
    return Pair(
        "median of 590,000 scores: topk, ours",
        lambda: scores.topk(half, largest=False, sorted=False).values.amax(),
        lambda: _kth_lowest(scores, half),
    )


def matmul_pair() -> Pair:
    """`lightning_app.matmul`: a product of the FFN and its two gradients."""
    import torch

    tokens, weight = torch.randn(ROWS, HIDDEN), torch.randn(INTERMEDIATE, HIDDEN)
    gradient = torch.randn(ROWS, INTERMEDIATE)

    def products() -> object:
        return tokens @ weight.T, gradient @ weight, gradient.T @ tokens

    name = f"products, {ROWS} x {HIDDEN} x {INTERMEDIATE}: MKL, oneDNN"
    return Pair(name, products, _within(_onednn, products))


def optimizer_pair() -> Pair:
    """AdamW as torch makes it by default, and fused, on MiniLM's parameters."""
    import torch

    from lightning_app.pretrained import load_config, load_network

    def optimizer(fused: bool | None) -> torch.optim.AdamW:
        parameters = list(load_network("embedded", load_config("embedded")).parameters())
        for parameter in parameters:
            parameter.grad = torch.full_like(parameter, 1e-3)
        return torch.optim.AdamW(parameters, lr=1e-6, fused=fused)

    return Pair("AdamW: torch's default, fused", optimizer(None).step, optimizer(True).step)


def step_pairs() -> Iterator[Pair]:
    """Whole training steps, the last pair with the products that Glint would choose."""
    from lightning_app.matmul import onednn_matmul

    step = _training_step()
    yield Pair("training step: MKL, oneDNN", step, _within(_onednn, step))
    whole, first = _training_step(first_token_only=False), _training_step()
    yield Pair(
        "training step: all tokens of the last layer, the first",
        _within(onednn_matmul, whole),
        _within(onednn_matmul, first),
    )


def _training_step(first_token_only: bool = True, widths: tuple[int, ...] = (LENGTH,)) -> Kernel:
    """A step of MiniLM with Glint's kernels; the lengths of its batches take turns."""
    import torch

    from lightning_app.pretrained import load_config, load_network
    from modules.acceleration import accelerate

    network: Any = load_network("embedded", load_config("embedded")).train()
    handle = accelerate(network)
    if handle is not None and not first_token_only:
        handle.remove()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5, fused=True)
    batches = [torch.randint(1000, 30000, (BATCH, width)) for width in widths]
    labels = torch.arange(BATCH) % 2

    def step() -> None:
        batches.append(ids := batches.pop(0))
        optimizer.zero_grad()
        network(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss.backward()
        optimizer.step()

    return step


def _within(context: Callable[[], Any], kernel: Kernel) -> Kernel:
    def run() -> object:
        with context():
            return kernel()

    return run


@contextmanager
def _onednn() -> Iterator[None]:
    """The switch of `lightning_app.matmul` alone, without what it turns off beside it."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def allocation_rows(rounds: int) -> list[str]:
    """`lightning_app.allocator`: steps in processes of their own that take turns."""
    command = [sys.executable, "-m", "benchmarks.kernels", "--process"]
    with tempfile.TemporaryFile("w") as log:
        workers = [Worker.start(name, [*command, name], log) for name in ALLOCATIONS]
        for worker in workers:
            worker.take_turn(10, keep=False)  # the heap grows to its size
        for _ in range(rounds):
            for worker in workers:
                worker.take_turn(len(WIDTHS))
        for worker in workers:
            worker.stop()
    (time, faults), *kept = [_time_and_faults(worker) for worker in workers]
    rows = []
    for name, (their_time, their_faults) in zip(ALLOCATIONS[1:], kept, strict=True):
        what = f"freed blocks {ALLOCATIONS[0]}, {name}"
        rows.append(_row(f"training step: {what}", time, their_time))
        rows.append(f"| its page faults: {what} | {faults:,.0f} | {their_faults:,.0f} | |")
    return rows


def _time_and_faults(worker: Worker) -> tuple[float, float]:
    """Medians over the rounds, of a step."""
    milliseconds = statistics.median(turn.seconds * 1000 for turn in worker.rounds)
    faults = statistics.median(turn.tokens for turn in worker.rounds)
    return milliseconds / len(WIDTHS), faults / len(WIDTHS)


def allocation_process(name: str) -> None:
    """Steps under one of `ALLOCATIONS` while it is its turn; what it counts are page faults."""
    from lightning_app.allocator import keep_large_blocks
    from lightning_app.matmul import onednn_matmul

    if name == ALLOCATIONS[1]:
        keep_large_blocks(reserved_bytes=0)
    elif name == ALLOCATIONS[2]:
        keep_large_blocks()
    step = _training_step(widths=WIDTHS)
    turn, faults = Turn(), 0
    with onednn_matmul():
        while True:
            before, faults = faults, resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            if not turn.step(faults - before):
                return
            step()


def measure(rounds: int) -> list[str]:
    """Let all pairs take turns; the lines of the table."""
    from transformers.utils import logging

    from lightning_app.allocator import keep_large_blocks

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    allocation = allocation_rows(rounds)
    keep_large_blocks()  # as in `glint fit`
    pairs = [*attention_pairs(), *small_pairs(), matmul_pair(), selection_pair()]
    pairs += [optimizer_pair(), *step_pairs()]
    for pair in pairs:
        pair.warm_up()
    for _ in range(rounds):
        for pair in pairs:
            pair.take_turns()
    return [*(pair.row() for pair in pairs), *allocation]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--process", choices=ALLOCATIONS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.process:
        allocation_process(arguments.process)
        return
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # before torch is imported
    from lightning_app.matmul import onednn_is_better

    chosen = "would" if onednn_is_better() else "would not"
    print(f"{arguments.threads} threads; Glint {chosen} take oneDNN here.\n")
    rows = measure(arguments.rounds)
    print("| kernel: before, after | before | after | ratio |\n| --- | --- | --- | --- |")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
