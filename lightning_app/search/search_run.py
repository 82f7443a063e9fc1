"""A search on this machine, from its database to its files."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_app.errors import InputError
from lightning_app.recipes.engine import clock
from lightning_app.search.result_files import write_result
from lightning_app.search.result_text import result_text, trial_line
from lightning_app.search.results import Findings, findings, importances
from lightning_app.search.specification import Specification
from lightning_app.search.study import (
    ERROR,
    add_tickets,
    close_study,
    failed,
    finished,
    open_storage,
    open_study,
)

if TYPE_CHECKING:
    from optuna.study import Study

_POLL = 0.5  # seconds


@dataclass
class SearchRun:
    """Queues what is missing, lets workers do it, and reads what came out.

    Args:
        specification: Of the search.
        storage: Address of the database.
        rungs: Epochs after which a trial of the longest training may be stopped.
        start: By key the values of the configuration as it is; empty to begin with none of them.
        workers: Processes on this machine.
        winner: Whether the best is trained on the whole training set.
        say: Is told each line of progress.
    """

    specification: Specification
    storage: str
    rungs: Sequence[int]
    start: Mapping[str, Any]
    workers: int
    winner: bool
    say: Callable[[str], None] = print

    def run(self) -> Findings:
        """Search, and write and say what was found.

        Raises:
            InputError: If the database cannot be opened or is of another search, or nothing could
                be trained.
        """
        what = self.specification
        Path(what.folder).mkdir(parents=True, exist_ok=True)
        study = open_study(open_storage(self.storage, what.heartbeat), what)
        try:
            return self._search(study)
        finally:
            close_study(study)

    def _search(self, study: "Study") -> Findings:
        from lightning_app.search.workers import Workers

        what = self.specification
        tickets = self.tickets()
        add_tickets(study, tickets)
        done = finished(study)
        if done:
            self.say(f"{len(done)} of {len(tickets)} trials are done already")
        workers = Workers(what, self.storage, self.rungs, len(tickets), self.workers)
        with workers.running():
            self._watch(study, workers, len(tickets))
        return self._finish(study)

    def tickets(self) -> list[dict[str, Any]]:
        """What is given of each trial; of a grid all of it.

        Raises:
            InputError: If a grid has no end.
        """
        domains = self.specification.domains
        if self.specification.sampler == "grid":
            grids = [[domain.stored(v) for v in domain.grid()] for domain in domains.values()]
            return [dict(zip(domains, values, strict=True)) for values in product(*grids)]
        first = {key: domains[key].stored(value) for key, value in self.start.items()}
        return [first, *({} for _ in range(self.specification.trials - 1))]

    def _watch(self, study: "Study", workers: Any, total: int) -> None:
        seen = {trial.number for trial in finished(study)}
        before, started = len(seen), time.monotonic()
        at_work = True
        while at_work:
            at_work = workers.are_at_work
            for trial in finished(study):
                if trial.number in seen:
                    continue
                seen.add(trial.number)
                left = _left(len(seen) - before, total - len(seen), time.monotonic() - started)
                found = findings(study, self.specification)
                self.say(trial_line(found, trial, f"{len(seen)}/{total}", left))
            if at_work:
                time.sleep(_POLL)

    def _finish(self, study: "Study") -> Findings:
        from lightning_app.search.fit_processes import FitProcesses
        from lightning_app.search.winner import fit_winner

        lost = failed(study)
        for trial in lost:
            reason = trial.user_attrs.get(ERROR, "its worker died again and again")
            self.say(f"trial {trial.number} failed: {reason}")
        found = findings(study, self.specification)
        if not found.candidates:
            raise InputError(
                f"Expected trials that come to their end, but all {len(lost)} failed; their logs"
                f" are in {self.specification.folder}."
            )
        won = None
        if self.winner:
            won = fit_winner(found, found.best, FitProcesses().run, self.say)
        shares = importances(found)
        files = write_result(found, Path(self.specification.folder), shares, won)
        self.say("\n" + result_text(found, shares, won, files).rstrip("\n"))
        return found


def _left(done: int, rest: int, seconds: float) -> str:
    return f" · about {clock(seconds / done * rest)} left" if done and rest > 0 else ""
