"""What changed between two versions of a dataset: rows, labels, splits, classes, settings, findings."""
