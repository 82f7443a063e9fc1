"""Lightning callbacks: behaviour that is added to a fit, one class a file."""

from callbacks.compression import Compression
from callbacks.compression_monitor import CompressionMonitor
from callbacks.cpu_kernels import CPUKernels
from callbacks.devices_report import DevicesReport
from callbacks.distillation import Distillation
from callbacks.finite_loss import FiniteLoss
from callbacks.gradual_unfreezing import GradualUnfreezing
from callbacks.learning_rate_schedule import LearningRateSchedule
from callbacks.magnitude_pruning import MagnitudePruning
from callbacks.movement_pruning import MovementPruning
from callbacks.operator_surgery import OperatorSurgery
from callbacks.prediction_writer import PredictionWriter
from callbacks.preemption import Preemption
from callbacks.quantization_aware_training import QuantizationAwareTraining
from callbacks.random_state import RandomState
from callbacks.run_checkpoint import RunCheckpoint
from callbacks.run_summary import RunSummary
from callbacks.second_order_pruning import SecondOrderPruning
from callbacks.sparsity_schedule import SparsitySchedule
from callbacks.structured_pruning import StructuredPruning
from callbacks.training_log import TrainingLog
from callbacks.validation_pictures import ValidationPictures
from callbacks.weight_schedule import WeightSchedule

__all__ = [
    "CPUKernels",
    "Compression",
    "CompressionMonitor",
    "DevicesReport",
    "Distillation",
    "FiniteLoss",
    "GradualUnfreezing",
    "LearningRateSchedule",
    "MagnitudePruning",
    "MovementPruning",
    "OperatorSurgery",
    "PredictionWriter",
    "Preemption",
    "QuantizationAwareTraining",
    "RandomState",
    "RunCheckpoint",
    "RunSummary",
    "SecondOrderPruning",
    "SparsitySchedule",
    "StructuredPruning",
    "TrainingLog",
    "ValidationPictures",
    "WeightSchedule",
]
