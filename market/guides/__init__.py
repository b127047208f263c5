"""Guides (办事指南) as the public reads them: the eight elements, and always where to complain or praise."""
