"""The key that serving uses: it can search our indexes and do nothing else."""

from uuid import UUID

from meilisearch.errors import MeilisearchApiError

from search.meilisearch import shape
from search.meilisearch.server import Server
from search.meilisearch.writer import TIMEOUT

# Always the same, so that the key is made once, and found again.
_KEY_UID = UUID("6f0c7a52-2d43-4a8e-9d0b-5a7f3c1e8b90")


async def search_key(url: str, master_key: str) -> str:
    """The search-only key of the server, made if there is none yet.

    Raises:
        WrongKey: this key may not manage keys. EngineUnavailable.
    """
    server = Server(url, master_key, timeout=TIMEOUT)
    return await server.run(lambda: _key(server))


def _key(server: Server) -> str:
    try:
        found: str = server.client.get_key(str(_KEY_UID)).key
    except MeilisearchApiError as error:
        if error.code != "api_key_not_found":
            raise
        wanted = {
            "uid": str(_KEY_UID),
            "name": "zhipei search",
            "description": "Search only, for the web servers of Zhipei",
            "actions": ["search"],
            "indexes": [f"{shape.PREFIX}*"],
            "expiresAt": None,
        }
        found = server.client.create_key(wanted).key
    return found
