"""Offerings (服务供给): what an institution publishes under an item, in versions."""
