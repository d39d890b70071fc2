"""Getting the datasets: sources as data, resumable transfers, safe unpacking, a manifest of what came from where."""
