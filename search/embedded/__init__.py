"""The search engine that needs no server: tantivy in the process, one folder for all indexes.

One process writes, many read. README of the folder::

    writer.lock                     held by the process that writes
    offerings-1a2b3c4d              symbolic link to the folder in service; named after the digest of its settings
    offerings.5f00c3e1/             an index of tantivy

A rebuild fills a fresh folder and then moves the link, in one step: a reader sees the old index or the new one.
"""

from search.embedded.reader import EmbeddedEngine
from search.embedded.writer import EmbeddedWriter

__all__ = ["EmbeddedEngine", "EmbeddedWriter"]
