"""Lightning callbacks: behaviour that is added to a fit, one class a file."""

from callbacks.cpu_kernels import CPUKernels
from callbacks.finite_loss import FiniteLoss
from callbacks.gradual_unfreezing import GradualUnfreezing
from callbacks.learning_rate_schedule import LearningRateSchedule
from callbacks.prediction_writer import PredictionWriter
from callbacks.random_state import RandomState
from callbacks.run_checkpoint import RunCheckpoint
from callbacks.run_summary import RunSummary
from callbacks.training_log import TrainingLog
from callbacks.validation_pictures import ValidationPictures

__all__ = [
    "CPUKernels",
    "FiniteLoss",
    "GradualUnfreezing",
    "LearningRateSchedule",
    "PredictionWriter",
    "RandomState",
    "RunCheckpoint",
    "RunSummary",
    "TrainingLog",
    "ValidationPictures",
]
