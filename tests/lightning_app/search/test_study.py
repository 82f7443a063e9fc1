"""The study in SQLite, with fits that are made up."""

from dataclasses import replace
from pathlib import Path

import pytest

from lightning_app.errors import InputError
from lightning_app.search.results import findings, importances
from lightning_app.search.study import (
    add_tickets,
    failed,
    finished,
    open_storage,
    open_study,
    shown,
    take_ticket,
)
from tests.lightning_app.search.killed_worker import (
    check_nothing_is_lost_or_doubled,
    search_with_a_kill,
)
from tests.lightning_app.search.stub_search import score, specification, tickets, worker


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder / 'study.db'}"


def test_a_grid_by_one_worker(tmp_path: Path) -> None:
    made = worker(specification(tmp_path), sqlite(tmp_path), 0.0, [3])
    assert add_tickets(made.study, tickets()) == 6
    assert add_tickets(made.study, tickets()) == 0  # the same again adds nothing
    made.run()
    found = findings(made.study, made.specification)
    assert (found.num_finished, found.num_stopped, found.trained) == (6, 0, 6 * 2 * 3)
    assert found.best.values == {"model.learning_rate": 3e-5, "data.train_batch_size": 16}
    assert found.best.scores == [score(3e-5, 16, 0), score(3e-5, 16, 1)]
    assert found.best.objectives == pytest.approx([0.9005])
    shares = importances(found)
    assert shares is not None
    assert shares["model.learning_rate"] > shares["data.train_batch_size"] > 0
    assert sum(shares.values()) == pytest.approx(1)


@pytest.mark.slow
def test_a_killed_workers_trial_is_found_and_counted_once(tmp_path: Path) -> None:
    made = worker(specification(tmp_path / "one"), sqlite(tmp_path), 0.0, [3])
    add_tickets(made.study, tickets())
    made.run()
    (tmp_path / "db").mkdir()
    found = search_with_a_kill(sqlite(tmp_path / "db"), tmp_path / "two")
    check_nothing_is_lost_or_doubled(found, findings(made.study, made.specification))
    fits = (tmp_path / "two/fits.txt").read_text().split()
    # The fit that was done before the kill is not done again, and none twice.
    assert len(fits) == len(set(fits)) == 12


def test_a_trial_that_two_processes_have_queued_is_taken_once(tmp_path: Path) -> None:
    study = open_study(open_storage(sqlite(tmp_path), 1), specification(tmp_path))
    for _ in range(2):
        study.enqueue_trial(tickets()[0], user_attrs={"ticket": 0})
    first = take_ticket(study, 6)
    assert first is not None
    assert first.number == 0
    assert take_ticket(study, 6) is None


def test_trials_beyond_those_wanted_are_left_alone(tmp_path: Path) -> None:
    study = open_study(open_storage(sqlite(tmp_path), 1), specification(tmp_path))
    add_tickets(study, tickets())
    taken = [take_ticket(study, 2) for _ in range(3)]
    assert [t and t.number for t in taken] == [0, 1, None]


def test_a_study_of_another_search_is_refused(tmp_path: Path) -> None:
    what = specification(tmp_path)
    open_study(open_storage(sqlite(tmp_path), 1), what)
    with pytest.raises(InputError, match=r"'stub' to be of this search, but its `folds` differ"):
        open_study(open_storage(sqlite(tmp_path), 1), replace(what, folds=3))
    several = replace(what, objectives=["score", "size_mb"])
    with pytest.raises(InputError, match="its `objectives` differ"):
        open_study(open_storage(sqlite(tmp_path), 1), several)


def test_a_search_whose_first_trials_all_fail_stops(tmp_path: Path) -> None:
    made = worker(specification(tmp_path), sqlite(tmp_path), 0.0, [3])
    add_tickets(made.study, tickets())

    def fail(arguments: object, folder: Path) -> float:
        raise InputError("no memory")

    made.run_fit = fail
    with pytest.raises(InputError, match="no memory"):
        made.run()
    assert len(failed(made.study)) == 3
    assert finished(made.study) == []
    assert add_tickets(made.study, tickets()) == 3  # the same command tries them again


def test_trials_behind_are_stopped(tmp_path: Path) -> None:
    what = specification(tmp_path, pruner="median", config={"trainer": {"max_epochs": 3}})
    made = worker(what, sqlite(tmp_path), 0.0, [1, 2, 3])
    order = sorted(tickets(), key=lambda t: -score(*t.values(), 0))
    add_tickets(made.study, order)
    made.run()
    found = findings(made.study, what)
    # The first three are let through; what comes after them is behind the median.
    assert (found.num_finished, found.num_stopped) == (3, 3)
    assert len(found.candidates) == 3


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp"])
def test_samplers_fill_up_what_is_not_given(tmp_path: Path, sampler: str) -> None:
    space = {
        "model.learning_rate": {"low": 1e-6, "high": 1e-3, "log": True},
        "data.train_batch_size": {"choices": [8, 16]},
    }
    what = specification(tmp_path, sampler=sampler, space=space, trials=8)
    made = worker(what, sqlite(tmp_path), 0.0, [3])
    add_tickets(made.study, [{"model.learning_rate": 2e-5, "data.train_batch_size": 8}, *[{}] * 7])
    made.run()
    rates = [trial.params["model.learning_rate"] for trial in finished(made.study)]
    assert rates[0] == 2e-5
    assert len(set(rates)) == 8
    assert all(1e-6 <= rate <= 1e-3 for rate in rates)


def test_a_database_that_cannot_be_opened_is_refused_without_its_password() -> None:
    url = "postgresql://me:secret@127.0.0.1:1/none"
    with pytest.raises(InputError, match=r"`--storage` to be a database") as caught:
        open_storage(url, 1)
    assert "secret" not in str(caught.value)
    assert shown(url) == "postgresql://me:***@127.0.0.1:1/none"
