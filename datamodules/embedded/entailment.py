"""Premises with hypotheses in three classes, for mnli and ax."""

from datamodules.embedded.case import CONTRADICTION, ENTAILMENT, Case
from datamodules.embedded.draw import Draw
from datamodules.embedded.logic_cases import LOGIC, UNSEEN_LOGIC
from datamodules.embedded.scene_cases import SCENES, UNSEEN_SCENES

# Scenes test what words mean, logic what sentences mean; mnli has more of the former.
_SCENE_SHARE = 0.4


def entailment_row(draw: Draw) -> dict[str, object]:
    """A premise, a hypothesis and 0 (entailment), 1 (neutral) or 2 (contradiction)."""
    label = draw.rng.randint(ENTAILMENT, CONTRADICTION)
    while True:
        texts = _case(draw).texts(draw, label)
        if texts is not None:
            return {"premise": texts[0], "hypothesis": texts[1], "label": label}


def _case(draw: Draw) -> Case:
    if draw.chance(_SCENE_SHARE):
        return draw.among(SCENES, UNSEEN_SCENES)
    return draw.among(LOGIC, UNSEEN_LOGIC if draw.chance(0.4) else LOGIC)
