"""Matches (撮合): ranking a need, approving a candidate, serving it."""
