"""All SQL of guides."""

from infra.db import Transaction, many
from market.guides.model import NodeChannel

CHANNELS = "SELECT name, region_prefix, supervision FROM nodes ORDER BY length(region_prefix), region_code"
CHANNEL = "SELECT supervision FROM nodes WHERE id = $1"
SET_CHANNEL = "UPDATE nodes SET supervision = $2 WHERE id = $1"


async def channels(tx: Transaction) -> list[NodeChannel]:
    """All nodes, those of larger regions first."""
    return many(NodeChannel, await tx.fetch(CHANNELS))


async def channel(tx: Transaction, node_id: int) -> str:
    """What the node publishes."""
    text: str = await tx.fetchval(CHANNEL, node_id)
    return text


async def set_channel(tx: Transaction, node_id: int, text: str) -> None:
    """What the node publishes from now on."""
    await tx.execute(SET_CHANNEL, node_id, text)
