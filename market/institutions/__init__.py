"""Institutions (公共服务机构): who serves."""
