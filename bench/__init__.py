"""Measured speed, as ratios to peers on the same machine in the same run. README.md says what, and how to read it."""
