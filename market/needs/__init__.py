"""Needs (服务需求): what an enterprise asks for, from submission to its end."""
