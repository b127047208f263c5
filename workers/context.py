"""What jobs are given."""

from msgspec import Struct

from infra.db import Database
from infra.settings import Settings
from market.matches.ranking import CatalogueSource


class Context(Struct, frozen=True, eq=False):
    """What one worker process shares between its jobs."""

    settings: Settings
    db: Database
    catalogue: CatalogueSource
