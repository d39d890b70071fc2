"""Training, checkpoints and export of the reference models; needs `pgc-data[train]`."""
