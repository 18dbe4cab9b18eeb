"""Pictures with depth: samples, shards, public sets, and training batches.

a set's files → `Sample` → `TrainingSet` (crops) → `Batch` → `augment` (on the device)
"""

from depthpro.data.batches import Batch, TrainingSet, augment
from depthpro.data.open import open_dataset
from depthpro.data.sample import Sample

__all__ = ["Batch", "Sample", "TrainingSet", "augment", "open_dataset"]
