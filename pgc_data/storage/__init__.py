"""Files, folders and Parquet: everything that touches the disk in the project's own formats."""
