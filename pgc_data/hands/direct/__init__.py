"""MediaPipe's two hand networks, run without its graph: the same hands, one thread, clips started for nothing."""

from pgc_data.hands.direct.backend import DirectHands

__all__ = ["DirectHands"]
