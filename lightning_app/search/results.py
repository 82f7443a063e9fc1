"""What a study has found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lightning_app.functional.dominance import front
from lightning_app.search.specification import EPOCHS, Specification
from lightning_app.search.study import finished, first_number
from lightning_app.search.subject import with_values
from lightning_app.search.worker import RUNGS

if TYPE_CHECKING:
    from optuna.study import Study

_MIN_FOR_IMPORTANCES = 4


@dataclass(frozen=True)
class Candidate:
    """A configuration that was trained as long as it says.

    Args:
        trial: Number of the trial.
        values: By key of the configuration.
        epochs: Of training.
        objectives: In the order of the search's.
        scores: Of each fold.
    """

    trial: int
    values: dict[str, Any]
    epochs: int
    objectives: list[float]
    scores: list[float]


@dataclass(frozen=True)
class Findings:
    """All of a study.

    Args:
        specification: Of the search.
        candidates: In the order of their trials.
        num_finished: Trials that came to their end.
        num_stopped: Trials that were stopped on the way.
        trained: Epochs that were computed.
        seconds: That fits took, of all workers together.
    """

    specification: Specification
    candidates: list[Candidate]
    num_finished: int
    num_stopped: int
    trained: int
    seconds: float

    @property
    def best(self) -> Candidate:
        """With the highest score; of equal ones the first."""
        place = self.specification.objectives.index("score")
        return max(self.candidates, key=lambda candidate: candidate.objectives[place])

    @property
    def front(self) -> list[Candidate]:
        """Those that none is better than in every objective, the highest score first."""
        points = [self.signed(candidate) for candidate in self.candidates]
        place = self.specification.objectives.index("score")
        chosen = [self.candidates[number] for number in front(points)]
        return sorted(chosen, key=lambda candidate: -candidate.objectives[place])

    def signed(self, candidate: Candidate) -> list[float]:
        """Its objectives, higher is better."""
        signs = [1 if d == "maximize" else -1 for d in self.specification.directions]
        return [s * value for s, value in zip(signs, candidate.objectives, strict=True)]

    def config(self, candidate: Candidate) -> dict[str, Any]:
        """What `glint fit` takes, or `glint compress`."""
        return with_values(self.specification.config, candidate.values)


def findings(study: "Study", specification: Specification) -> Findings:
    """Read a study.

    Args:
        study: Of any state.
        specification: Of its search.
    """
    from optuna.trial import TrialState

    trials = [t for t in finished(study) if t.user_attrs.get(RUNGS)]
    rungs = [rung for trial in trials for rung in trial.user_attrs[RUNGS]]
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    return Findings(
        specification,
        [candidate for trial in trials for candidate in _candidates(trial, specification)],
        len(complete),
        len(trials) - len(complete),
        sum(rung["trained"] for rung in rungs),
        sum(rung["seconds"] for rung in rungs),
    )


def importances(found: Findings) -> dict[str, float] | None:
    """By key the share of the variance of the score that it explains (fANOVA), largest first.

    Where one training served all epoch counts, each counts as a trial of its own here.

    Returns:
        None where there are too few results, or all of them are the same.
    """
    import optuna

    from lightning_app.search.domain import Domain

    candidates = found.candidates
    space = found.specification.space
    place = found.specification.objectives.index("score")
    scores = {candidate.objectives[place] for candidate in candidates}
    if len(candidates) < _MIN_FOR_IMPORTANCES or len(scores) < 2:
        return None
    domains = {key: Domain.of(key, written) for key, written in space.items()}
    study = optuna.create_study(direction="maximize")
    for candidate in candidates:
        stored = {key: domains[key].stored(value) for key, value in candidate.values.items()}
        study.add_trial(
            optuna.trial.create_trial(
                params=stored,
                distributions={key: domains[key].distribution for key in stored},
                value=candidate.objectives[place],
            )
        )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


def _candidates(trial: Any, specification: Specification) -> Sequence[Candidate]:
    from optuna.trial import TrialState

    values = {key: domain.value(trial.params[key]) for key, domain in specification.domains.items()}
    rungs = trial.user_attrs[RUNGS]
    if not specification.shares_prefix:
        # What was stopped has no model at the end of its learning rate's course.
        rungs = rungs[-1:] if trial.state == TrialState.COMPLETE else []
    return [
        Candidate(
            first_number(trial),
            {**values, EPOCHS: rung["epochs"]} if specification.shares_prefix else values,
            rung["epochs"],
            rung["objectives"],
            rung["scores"],
        )
        for rung in rungs
    ]
