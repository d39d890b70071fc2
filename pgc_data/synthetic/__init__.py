"""Draws hands that MediaPipe recognises, as moving gestures, in a data set's own raw layout with the true joints."""

from pgc_data.synthetic.hagrid import write_hagrid
from pgc_data.synthetic.ipn import write_ipn
from pgc_data.synthetic.jester import write_jester
from pgc_data.synthetic.leapgestrecog import write_leapgestrecog
from pgc_data.synthetic.studio import SyntheticSummary

__all__ = ["SyntheticSummary", "write_hagrid", "write_ipn", "write_jester", "write_leapgestrecog"]
