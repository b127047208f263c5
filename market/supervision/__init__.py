"""Supervision (台账督导): rules flag institutions that fall behind; notice → plan → check → close, timed."""
