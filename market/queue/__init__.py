"""The coordinator's work queue: what waits, found by filters; decisions that can be taken back; several at once."""
