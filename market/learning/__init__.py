"""Learned models: what they are trained on, the gate, and which of them ranks."""
