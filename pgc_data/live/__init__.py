"""A camera or a video, frame by frame: find hands, classify, debounce over time, draw, record."""
