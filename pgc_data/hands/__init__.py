"""Decoding frames, finding hands in them, following them, cutting crops."""
