"""Takes trials of a study one by one until none is left: `python -m`, told what by its input."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_app.errors import InputError
from lightning_app.functional.dominance import is_dominated_with_margin
from lightning_app.search.recipe_space import depends_on
from lightning_app.search.recipe_trial import RecipeTrial
from lightning_app.search.samplers import pruner_of, sampler_of
from lightning_app.search.specification import EPOCHS, Specification
from lightning_app.search.study import (
    ERROR,
    finished,
    first_number,
    give_back,
    heart,
    open_storage,
    open_study,
    revive_the_dead,
    running,
    take_ticket,
)
from lightning_app.search.subject import with_values
from lightning_app.search.trial_run import RunFit, Rung, TrialRun

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial

RUNGS = "rungs"
"""User attribute: for each rung its epochs, scores, objectives, computed epochs and seconds."""
_WAIT = 1.0  # seconds until the trials of others are looked at again
_MAX_FAILURES = 3
Costs = Callable[[Path], Mapping[str, float]]


@dataclass
class SearchWorker:
    """Runs trials.

    Args:
        study: Where from.
        specification: Of the search.
        rungs: Epochs after which a trial of the longest training may be stopped, ascending.
        run_fit: Runs a fit.
        costs: Objectives but the score, of a checkpoint.
        num_tickets: Trials that are wanted.
        place: Folder of this worker alone, for recipes.
    """

    study: "Study"
    specification: Specification
    rungs: list[int]
    run_fit: RunFit
    costs: Costs
    num_tickets: int
    place: Path = Path()
    _failures: int = field(default=0, init=False)

    def run(self) -> None:
        """Take trials until all are finished, those of dead workers among them.

        Raises:
            InputError: If the first few fail one after the other.
        """
        while True:
            revive_the_dead(self.study)
            ticket = take_ticket(self.study, self.num_tickets)
            if ticket is not None:
                self._try(ticket._trial_id, first_number(ticket))
            elif not running(self.study):
                return
            else:
                time.sleep(_WAIT)

    def _try(self, trial_id: int, number: int) -> None:
        import optuna

        self.study.sampler = sampler_of(self.specification, number)
        try:
            with heart(self.study, trial_id, self.specification.heartbeat):
                trial = optuna.trial.Trial(self.study, trial_id)
                values = self._values(trial)
                state = self._train(trial, number, values)
        except InputError as error:
            self._fail(trial_id, error)
        except BaseException:
            give_back(self.study, trial_id)
            raise
        else:
            self._failures = 0
            self._tell(trial, state)

    def _values(self, trial: "Trial") -> dict[str, Any]:
        return {
            key: domain.value(trial._suggest(key, domain.distribution))
            for key, domain in self.specification.domains.items()
        }

    def _train(self, trial: "Trial", number: int, values: Mapping[str, Any]) -> bool:
        """From rung to rung; returns whether it came to its end."""
        run = self._trial(number, values)
        rungs = self._rungs_of(values)
        known = {entry["epochs"]: entry for entry in trial.user_attrs.get(RUNGS, [])}  # of a try
        done: list[dict[str, Any]] = []
        for epochs in rungs:
            is_last = epochs == rungs[-1]
            done.append(known.get(epochs) or self._entry(run.rung(epochs, is_last)))
            trial.set_user_attr(RUNGS, done)
            run.forget(epochs)
            if self._should_stop(trial, done[-1]) and not is_last:
                run.forget_all()
                return False
        run.forget_all()
        return True

    def _trial(self, number: int, values: Mapping[str, Any]) -> TrialRun | RecipeTrial:
        what = self.specification
        config = with_values(what.config, values)
        folder = Path(what.folder) / f"trial-{number}"
        folds = what.folds, what.folds_used
        if what.is_of_recipes:
            changing = depends_on(what.config, list(what.space))
            return RecipeTrial(config, values, folder, self.place, *folds, changing, self.run_fit)
        return TrialRun(config, folder, *folds, what.shares_prefix, self.run_fit)

    def _rungs_of(self, values: Mapping[str, Any]) -> list[int]:
        if EPOCHS not in values or self.specification.is_of_recipes:
            return self.rungs
        own = int(values[EPOCHS])
        return [epochs for epochs in self.rungs if epochs < own and len(self.rungs) > 1] + [own]

    def _entry(self, rung: Rung) -> dict[str, Any]:
        measured = rung.measured
        if self.specification.has_several_objectives and not measured:
            assert rung.checkpoint is not None, "kept until its costs are known"
            measured = self.costs(rung.checkpoint)
        named = {"score": rung.score, **measured}
        return {
            "epochs": rung.epochs,
            "scores": rung.scores,
            "objectives": [named[name] for name in self.specification.objectives],
            "trained": rung.trained,
            "seconds": round(rung.seconds, 2),
        }

    def _should_stop(self, trial: "Trial", entry: Mapping[str, Any]) -> bool:
        if not self.specification.has_several_objectives:
            trial.report(entry["objectives"][0], entry["epochs"])
            return trial.should_prune()
        others = [
            self._signed(other["objectives"])
            for known in self.study.get_trials(deepcopy=False)
            if known.number != trial.number
            for other in known.user_attrs.get(RUNGS, [])
            if other["epochs"] == entry["epochs"]
        ]
        own = self._signed(entry["objectives"])
        return is_dominated_with_margin(own, others, self.specification.margins)

    def _signed(self, objectives: Any) -> list[float]:
        signs = [1 if d == "maximize" else -1 for d in self.specification.directions]
        return [sign * value for sign, value in zip(signs, objectives, strict=True)]

    def _tell(self, trial: "Trial", is_complete: bool) -> None:
        from optuna.trial import TrialState

        if not is_complete:
            self.study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
            return
        rungs = trial.user_attrs[RUNGS]
        best = max(rungs, key=lambda rung: rung["scores"] and sum(rung["scores"]))
        chosen = best if self.specification.shares_prefix else rungs[-1]
        self.study.tell(trial, chosen["objectives"], skip_if_finished=True)

    def _fail(self, trial_id: int, error: InputError) -> None:
        from optuna.trial import TrialState

        storage: Any = self.study._storage
        storage.set_trial_user_attr(trial_id, ERROR, str(error))
        storage.set_trial_state_values(trial_id, state=TrialState.FAIL)
        self._failures += 1
        if self._failures >= _MAX_FAILURES and not finished(self.study):
            raise error


@contextmanager
def own_place(folder: Path) -> Iterator[Path]:
    """A folder that no other worker is in, the first that is free, so that it is found again.

    Args:
        folder: Of the search.
    """
    from filelock import FileLock, Timeout

    for number in count():
        place = folder / f"recipes-{number}"
        lock = FileLock(f"{place}.lock")
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            continue
        with held:
            yield place
        return


def main() -> int:
    """Read what to do from standard input; returns the exit code."""
    from lightning_app.search.fit_processes import FitProcesses

    told = json.loads(sys.stdin.readline())
    what = Specification.from_plain(told["specification"])
    try:
        study = open_study(open_storage(told["storage"], what.heartbeat), what)
        study.pruner = pruner_of(what, told["rungs"])

        def measured(checkpoint: Path) -> Mapping[str, float]:
            from lightning_app.search.costs import costs

            return costs(checkpoint, what)

        with own_place(Path(what.folder)) if what.is_of_recipes else nullcontext(Path()) as place:
            SearchWorker(
                study, what, told["rungs"], FitProcesses().run, measured, told["num_tickets"], place
            ).run()
    except InputError as error:
        sys.stderr.write(f"glint: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
