"""Hand landmarks to the 147 features a frame of feature-schema-v1, and to windows of them.

sequence = choose_hand(...)           # hands found in a clip -> one hand a frame
frames = frame_features(sequence)     # -> 30 Hz grid, 147 features
windows = cut_windows(frames)         # -> (K, 16, 147)
labels = interval_labels(source_labels[frames.source_index], windows.start, 16, background=0)
"""

from pgc_data.features.frames import FrameFeatures, frame_features, grid_features
from pgc_data.features.labels import (
    MIXED_LABELS,
    MOSTLY_UNLABELLED,
    OFF_CENTRE,
    WindowLabels,
    clip_labels,
    interval_labels,
)
from pgc_data.features.resample import HandGrid, resample
from pgc_data.features.schema import SCHEMA, SCHEMA_NAME, Block, FeatureSchema, feature_names, load_schema
from pgc_data.features.sequence import HandSequence, choose_hand, choose_rows
from pgc_data.features.windows import Windows, cut_windows

__all__ = [
    "MIXED_LABELS",
    "MOSTLY_UNLABELLED",
    "OFF_CENTRE",
    "SCHEMA",
    "SCHEMA_NAME",
    "Block",
    "FeatureSchema",
    "FrameFeatures",
    "HandGrid",
    "HandSequence",
    "WindowLabels",
    "Windows",
    "choose_hand",
    "choose_rows",
    "clip_labels",
    "cut_windows",
    "feature_names",
    "frame_features",
    "grid_features",
    "interval_labels",
    "load_schema",
    "resample",
]
