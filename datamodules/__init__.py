"""LightningDataModules: GLUE and a user's own files."""

from datamodules.augmentation import Augmentation
from datamodules.glue import GLUEDataModule
from datamodules.text_datamodule import TextDataModule
from datamodules.text_files import TextFilesDataModule

__all__ = ["Augmentation", "GLUEDataModule", "TextDataModule", "TextFilesDataModule"]
