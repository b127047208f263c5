"""Exporting: lists, institutions and offerings as CSV, JSON and HSDS 3.0; what goes out can be imported again."""
