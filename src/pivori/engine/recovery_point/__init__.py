"""Recovery points: snapshots with a folder for each component of a stack, written and read.

What a component is, and what the documents of a recovery point say, is for the layers above; here are only paths.
"""

from pivori.engine.recovery_point.reading import ComponentReader, FileFacts, PartNotRestored
from pivori.engine.recovery_point.writing import ComponentWriter, PointRequest, PointWriter

__all__ = ["ComponentReader", "ComponentWriter", "FileFacts", "PartNotRestored", "PointRequest", "PointWriter"]
