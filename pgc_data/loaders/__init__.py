"""Reading the tables back: frames, Arrow, torch batches, and the decoded cache."""

from pgc_data.loaders.dataset import Fold, Split, TableDataset, load

__all__ = ["Fold", "Split", "TableDataset", "load"]
