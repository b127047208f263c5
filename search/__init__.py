"""Search: one protocol (``engine``), two engines that keep it (``embedded``, ``meilisearch``), and what both need.

``documents`` says what is indexed, ``settings`` how. ``terms`` is what a plain listing in PostgreSQL does instead,
while no engine answers.
"""
