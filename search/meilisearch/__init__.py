"""The search server Meilisearch, version 1.50 and later, through its official client.

The names of its indexes begin with ``zhipei-`` and end with the digest of their settings: processes of an older release
keep searching the index they know until they are replaced, and none ever searches an index of other settings.
"""

from search.meilisearch.reader import MeilisearchEngine
from search.meilisearch.setup import search_key
from search.meilisearch.writer import MeilisearchWriter

__all__ = ["MeilisearchEngine", "MeilisearchWriter", "search_key"]
