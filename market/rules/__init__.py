"""Time limits that regions set for themselves."""
