"""The course of a fit: when its compression is complete, and what is refused."""

from typing import Any

import pytest

from lightning_app.commands.timeline import Timeline
from lightning_app.commands.timeline_text import timeline_picture, timeline_text
from lightning_app.errors import InputError


def timeline(steps: int = 10, **course: Any) -> Timeline:
    names = {"rate": "learning rate"}
    return Timeline(
        steps=steps,
        epochs=2,
        course={names.get(n, n.replace("_", " ")): v for n, v in course.items()},
        seconds_a_step=0.5,
        measured_steps=3,
        seconds_a_validation=4.0,
        validations=2,
        parameters=7,
    )


FALLING = [1.0 - n / 10 for n in range(11)]


def test_it_is_complete_where_the_last_thing_changes() -> None:
    sparsity = [0.0, 0.2, 0.4, *[0.5] * 8]
    rounding = ["off"] * 5 + ["static, ranges observed"] * 2 + ["static"] * 4
    assert timeline(rate=FALLING, sparsity=sparsity).reached_at == 3
    assert timeline(rate=FALLING, sparsity=sparsity, rounding=rounding).reached_at == 7
    assert timeline(rate=FALLING).reached_at == 0


def test_the_time_is_that_of_steps_and_validations() -> None:
    assert timeline(rate=FALLING).seconds == 10 * 0.5 + 2 * 4.0


def test_no_recovery_is_refused_with_a_better_end() -> None:
    late = timeline(rate=FALLING, sparsity=[0.0] * 10 + [0.5])
    with pytest.raises(InputError, match=r"complete, which is at step 10 of 10.*about 7 steps"):
        late.check()
    timeline(rate=FALLING, sparsity=[0.0] * 9 + [0.5] * 2).check()


def test_recovery_at_a_rate_of_zero_is_refused() -> None:
    zero = [1.0] * 6 + [0.0] * 5
    with pytest.raises(InputError, match="learning rate above 0 after the compression"):
        timeline(rate=zero, sparsity=[0.0] * 6 + [0.5] * 5).check()
    timeline(rate=zero, sparsity=[0.0] * 5 + [0.5] * 6).check()
    timeline(rate=zero).check()


def test_it_survives_json() -> None:
    import json

    before = timeline(rate=FALLING, rounding=["off"] * 11)
    assert Timeline.from_plain(json.loads(json.dumps(before.as_plain()))) == before


def test_the_table_has_the_first_and_the_last_step() -> None:
    text = timeline_text(timeline(rate=FALLING, sparsity=[0.001] * 11), num_rows=3)
    assert text.splitlines() == [
        "step  learning rate  sparsity",
        "   0              1  1.00e-03",
        "   5            0.5  1.00e-03",
        "  10              0  1.00e-03",
        "10 steps of 500 ms (median of 3), 2 validations of 4.0 s: about 0.2 minutes",
    ]


def test_the_picture_is_a_png() -> None:
    rounding = ["off"] * 5 + ["static"] * 6
    assert timeline_picture(timeline(rate=FALLING, rounding=rounding), "t")[:4] == b"\x89PNG"
