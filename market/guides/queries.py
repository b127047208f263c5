"""All SQL of guides."""

from infra.db import Transaction, many
from market.guides.model import NodeChannel

# A node publishes how to reach it as the institution of its kind in its region.
NODE_CHANNELS = """
SELECT d.name AS node_name, n.name AS institution_name, n.phone FROM nodes d
LEFT JOIN LATERAL (
    SELECT v.name, v.phone FROM institutions i
    JOIN institution_versions v ON v.institution_id = i.id AND v.version = i.version
    WHERE i.state = 'active' AND v.kind = 'backbone_node' AND v.region_code = d.region_code ORDER BY i.id LIMIT 1
) n ON true
WHERE d.parent_id IS NULL ORDER BY d.region_code
"""


async def node_channels(tx: Transaction) -> list[NodeChannel]:
    """The nodes that no node is above, with how to reach them."""
    return many(NodeChannel, await tx.fetch(NODE_CHANNELS))
