"""The study in its database: who may take which trial, and what becomes of those that died."""

import json
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from lightning_app.errors import InputError
from lightning_app.search.specification import Specification

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

TICKET = "ticket"
IDENTITY = "glint"
ERROR = "error"
SURPLUS = "another process had added this trial, too"
_GRACE = 4  # heartbeats
_MAX_RETRIES = 5
_SQLITE_TIMEOUT = 120  # seconds that one waits for another to finish writing
_POSTGRESQL = ("postgresql://", "postgres://")


def open_storage(url: str, heartbeat: int) -> "RDBStorage":
    """The database of a study.

    Args:
        url: As SQLAlchemy has it: ``sqlite:///FILE``, ``postgresql://USER@HOST/DATABASE``.
        heartbeat: Seconds between signs of life of a trial; after four without one it is taken for
            dead, and queued again with what it had been given.

    Raises:
        InputError: If it cannot be opened; passwords are not shown.
    """
    import optuna
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    from lightning_app.optional_packages import require

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if url.startswith(_POSTGRESQL):
        require(["psycopg"], "postgresql", "a study in PostgreSQL")
        url = "postgresql+psycopg://" + url.partition("://")[2]
    is_file = url.startswith("sqlite:///")
    if is_file:
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    arguments = (
        {"connect_args": {"timeout": _SQLITE_TIMEOUT}} if is_file else {"pool_pre_ping": True}
    )
    try:
        with _without_warnings():
            return RDBStorage(
                url,
                arguments,
                heartbeat_interval=heartbeat,
                grace_period=_GRACE * heartbeat,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(
                    max_retry=_MAX_RETRIES
                ),
            )
    except (ArgumentError, SQLAlchemyError, ImportError) as error:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())[:200]
        raise InputError(
            f"Expected `--storage` to be a database that can be opened, got {shown(url)!r}:"
            f" {reason}"
        ) from error


def shown(url: str) -> str:
    """A database's address without its password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url.partition("://")[0] + "://..."


def open_study(storage: "RDBStorage", specification: Specification) -> "Study":
    """Make the study, or join it.

    Raises:
        InputError: If the one that is there searches for something else.
    """
    import optuna

    study = optuna.create_study(
        storage=storage,
        study_name=specification.name,
        directions=specification.directions,
        load_if_exists=True,
    )
    if study.directions != [
        optuna.study.StudyDirection[d.upper()] for d in specification.directions
    ]:
        raise _another(specification.name, ["objectives"])
    ours = {k: json.dumps(v, sort_keys=True) for k, v in specification.identity.items()}
    theirs = study.user_attrs.get(IDENTITY)
    if theirs is None:
        study.set_user_attr(IDENTITY, ours)
    elif theirs != ours:
        raise _another(specification.name, [k for k in ours if theirs.get(k) != ours[k]])
    return study


def close_study(study: "Study") -> None:
    """Give the database's connections back."""
    storage: Any = study._storage
    storage = getattr(storage, "_backend", storage)  # within Optuna's cache
    storage.remove_session()
    storage.engine.dispose()


def add_tickets(study: "Study", tickets: Sequence[dict[str, Any]]) -> int:
    """Queue what nobody has taken, finished or queued yet.

    Args:
        study: Where to.
        tickets: Values that are given, by key, one mapping a trial; the sampler fills up the rest.

    Returns:
        How many were added.
    """
    from optuna.trial import TrialState

    taken = {t.user_attrs.get(TICKET) for t in _trials(study) if t.state != TrialState.FAIL}
    missing = [number for number in range(len(tickets)) if number not in taken]
    for number in missing:
        study.enqueue_trial(tickets[number], user_attrs={TICKET: number})
    return len(missing)


def take_ticket(study: "Study", num_tickets: int) -> "FrozenTrial | None":
    """The next queued trial, which is now ours alone; None where none is queued.

    Args:
        study: Where from.
        num_tickets: Trials that are wanted; those of a larger search before are left alone.
    """
    from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
    from optuna.trial import TrialState
    from sqlalchemy.exc import IntegrityError

    storage: Any = study._storage
    for trial in _trials(study, TrialState.WAITING):
        if trial.user_attrs.get(TICKET, num_tickets) >= num_tickets:
            continue
        try:
            # Before it is taken: one that dies right afterwards would never be missed.
            storage.record_heartbeat(trial._trial_id)
            if not storage.set_trial_state_values(trial._trial_id, state=TrialState.RUNNING):
                continue
        except (UpdateFinishedTrialError, StorageInternalError, IntegrityError):
            continue  # another one was faster
        if not _is_surplus(study, trial):
            return trial
        storage.set_trial_user_attr(trial._trial_id, ERROR, SURPLUS)
        storage.set_trial_state_values(trial._trial_id, state=TrialState.FAIL)
    return None


def revive_the_dead(study: "Study") -> None:
    """Queue the trials again whose workers have given no sign of life."""
    from optuna.storages import fail_stale_trials

    with _without_warnings():
        fail_stale_trials(study)


def give_back(study: "Study", trial_id: int) -> None:
    """Queue a trial again that its worker cannot finish."""
    from optuna.trial import TrialState

    storage: Any = study._storage
    storage.set_trial_state_values(trial_id, state=TrialState.FAIL)
    storage.get_heartbeat_stale_trial_callback()(study, storage.get_trial(trial_id))


def first_number(trial: "FrozenTrial") -> int:
    """Of the first try of a trial; its folder is named by it."""
    return int(trial.system_attrs.get("failed_trial", trial.number))


@contextmanager
def heart(study: "Study", trial_id: int, seconds: float) -> Iterator[None]:
    """Signs of life of a trial while the block runs.

    Args:
        study: Of the trial.
        trial_id: Of the trial.
        seconds: Between two.
    """
    storage: Any = study._storage
    stopped = Event()

    def beat() -> None:
        while not stopped.wait(seconds):
            try:
                storage.record_heartbeat(trial_id)
            except Exception:  # a database that is away for a moment; the next may succeed
                time.sleep(0.1)
        getattr(storage, "_backend", storage).remove_session()  # of this thread

    thread = Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def finished(study: "Study") -> "list[FrozenTrial]":
    """Trials that came to their end or were stopped, in the order of their numbers."""
    from optuna.trial import TrialState

    return _trials(study, TrialState.COMPLETE, TrialState.PRUNED)


def running(study: "Study") -> "list[FrozenTrial]":
    """Trials that someone is at."""
    from optuna.trial import TrialState

    return _trials(study, TrialState.RUNNING)


def failed(study: "Study") -> "list[FrozenTrial]":
    """Trials that ended with an error, none of whose tries came to an end."""
    from optuna.trial import TrialState

    alive = {t.user_attrs.get(TICKET) for t in _trials(study) if t.state != TrialState.FAIL}
    return [t for t in _trials(study, TrialState.FAIL) if t.user_attrs.get(TICKET) not in alive]


def _trials(study: "Study", *states: Any) -> "list[FrozenTrial]":
    return study.get_trials(deepcopy=False, states=states or None)


def _is_surplus(study: "Study", trial: "FrozenTrial") -> bool:
    """Whether two processes have added the same trial at once, and the other one is first."""
    from optuna.trial import TrialState

    ticket = trial.user_attrs[TICKET]
    return any(
        other.number < trial.number
        and other.user_attrs.get(TICKET) == ticket
        and other.state not in (TrialState.FAIL, TrialState.WAITING)
        for other in _trials(study)
    )


def _another(name: str, parts: Sequence[str]) -> InputError:
    return InputError(
        f"Expected the study {name!r} to be of this search, but its"
        f" {', '.join(f'`{part}`' for part in parts)} differ; choose another `--name`, or go back"
        " to the configuration that it was begun with."
    )


@contextmanager
def _without_warnings() -> Iterator[None]:
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
