"""Draws hands that MediaPipe recognises, as moving gestures, in a data set's own raw layout with the true joints."""

from pgc_data.synthetic.ipn import SyntheticSummary, write_ipn

__all__ = ["SyntheticSummary", "write_ipn"]
