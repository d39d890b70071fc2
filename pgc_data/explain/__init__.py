"""What a pointing network looks at: activation heatmaps, and how much its answer needs each layer."""
