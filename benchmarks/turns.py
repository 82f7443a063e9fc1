"""Workers that take turns, so that rivals are timed in one run on the same noisy machine."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO


@dataclass
class Round:
    """One turn of a worker: wall and processor seconds, real tokens."""

    seconds: float
    cpu_seconds: float
    tokens: int


class Turn:
    """The worker's side: blocks at the start of a turn, reports at its end.

    Call `step` before each training step with the number of real tokens of the batch.
    """

    def __init__(self) -> None:
        self._left = 0
        self._tokens = 0
        self._start = (0.0, 0.0)
        self._begun = False

    def step(self, num_tokens: int) -> bool:
        """Wait for the turn if need be; False when there is no more."""
        if self._left == 0 and not self._next_turn():
            return False
        self._left -= 1
        self._tokens += num_tokens
        return True

    def _next_turn(self) -> bool:
        if self._begun:
            wall, cpu = self._start
            report = [time.perf_counter() - wall, time.process_time() - cpu, self._tokens]
            print(json.dumps(report), flush=True)
        else:
            print("ready", flush=True)
        line = sys.stdin.readline()
        self._begun = True
        self._left = int(line) if line.strip() else 0
        self._tokens = 0
        self._start = (time.perf_counter(), time.process_time())
        return self._left > 0


@dataclass
class Worker:
    """The parent's side of one rival."""

    name: str
    process: subprocess.Popen[str]
    rounds: list[Round] = field(default_factory=list)

    @classmethod
    def start(cls, name: str, command: list[str], log: IO[str]) -> "Worker":
        """Start it and wait until it is ready for its first step."""
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        worker = cls(name, process)
        worker._reply()
        return worker

    def take_turn(self, steps: int, keep: bool = True) -> None:
        """Let it make so many steps."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        reply = self._reply()
        if keep and reply is not None:
            self.rounds.append(reply)

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()

    def tokens_per_second(self, cpu: bool = False) -> float:
        """Median over rounds, by the wall's or the processor's clock."""
        return statistics.median(
            r.tokens / (r.cpu_seconds if cpu else r.seconds) for r in self.rounds
        )

    def _reply(self) -> Round | None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("["):
                return Round(*json.loads(line))
            if line.startswith("ready"):
                return None
        raise SystemExit(f"{self.name} ended early; see its log")


def race(commands: Mapping[str, list[str]], warm_up: int, rounds: int, steps: int) -> list[Worker]:
    """Let workers take turns; all run at once, and those whose turn it is not wait.

    Args:
        commands: By the worker's name, what starts it.
        warm_up: Steps of each before the first turn that counts.
        rounds: Turns of each.
        steps: Of a turn.
    """
    with tempfile.TemporaryFile("w") as log:
        workers = [Worker.start(name, command, log) for name, command in commands.items()]
        for worker in workers:
            worker.take_turn(warm_up, keep=False)
        for _ in range(rounds):
            for worker in workers:
                worker.take_turn(steps)
    for worker in workers:
        worker.stop()
    return workers
