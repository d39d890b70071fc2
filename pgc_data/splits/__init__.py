"""Splits assign groups, never rows: every row of a person, else of a video, lies on one side.

A group is a connected component of subjects, videos, subjects that may be one person, and what shows the same picture.
"""

from pgc_data.splits.assignment import Assignment, Counts, assign_groups
from pgc_data.splits.groups import Group, group_samples, merged
from pgc_data.splits.names import TEST, TRAIN, VAL, Splits, folds, three_way
from pgc_data.splits.report import SplitReport, report

__all__ = [
    "TEST",
    "TRAIN",
    "VAL",
    "Assignment",
    "Counts",
    "Group",
    "SplitReport",
    "Splits",
    "assign_groups",
    "folds",
    "group_samples",
    "merged",
    "report",
    "three_way",
]
