"""Landmarks to features by one definition, offline and live; the 147 of feature-schema-v1, and other sets.

sequence = choose_hand(...)           # hands found in a clip -> one hand a frame
frames = frame_features(sequence)     # -> 30 Hz grid, 147 features
windows = cut_windows(frames)         # -> (K, 16, 147)
labels = interval_labels(source_labels[frames.source_index], windows.start, 16, background=0)
"""

from pgc_data.features.augment import (
    AUGMENTATIONS,
    Augmentation,
    Augmented,
    DropFrames,
    Flip,
    Jitter,
    Scale,
    TimeScale,
    Transform,
    Translate,
    ZeroOcclusion,
    augmentation_preset,
    flip_handedness,
    flip_permutation,
    flipped,
    rng_for,
)
from pgc_data.features.body import BodySequence
from pgc_data.features.box42 import adjacency, box_features, edge_index, graph_nodes, mirrored
from pgc_data.features.frames import FrameFeatures, UsableFrames, frame_features, grid_features, usable_frames
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
from pgc_data.features.sets import BodySet, FeatureSet, HandSet, ImageSet, feature_set, feature_sets
from pgc_data.features.streaming import StreamedWindow, StreamingFeatures
from pgc_data.features.windows import Windows, cut_windows, fill_windows, usable_windows

__all__ = [
    "AUGMENTATIONS",
    "MIXED_LABELS",
    "MOSTLY_UNLABELLED",
    "OFF_CENTRE",
    "SCHEMA",
    "SCHEMA_NAME",
    "Augmentation",
    "Augmented",
    "Block",
    "BodySequence",
    "BodySet",
    "DropFrames",
    "FeatureSchema",
    "FeatureSet",
    "Flip",
    "FrameFeatures",
    "HandGrid",
    "HandSequence",
    "HandSet",
    "ImageSet",
    "Jitter",
    "Scale",
    "StreamedWindow",
    "StreamingFeatures",
    "TimeScale",
    "Transform",
    "Translate",
    "UsableFrames",
    "WindowLabels",
    "Windows",
    "ZeroOcclusion",
    "adjacency",
    "augmentation_preset",
    "box_features",
    "choose_hand",
    "choose_rows",
    "clip_labels",
    "cut_windows",
    "edge_index",
    "feature_names",
    "feature_set",
    "feature_sets",
    "fill_windows",
    "flip_handedness",
    "flip_permutation",
    "flipped",
    "frame_features",
    "graph_nodes",
    "grid_features",
    "interval_labels",
    "load_schema",
    "mirrored",
    "resample",
    "rng_for",
    "usable_frames",
    "usable_windows",
]
