"""What a training can be watched with beside its own table of figures, one file each."""

from __future__ import annotations

from voltphase.loggers.base import LOGGERS, EpochRecord, Log, Logger, RunToLog
from voltphase.loggers.mlflow import MLflow
from voltphase.loggers.tensorboard import TensorBoard
from voltphase.loggers.wandb import WeightsAndBiases

__all__ = ["LOGGERS", "EpochRecord", "Log", "Logger", "MLflow", "RunToLog", "TensorBoard", "WeightsAndBiases"]
