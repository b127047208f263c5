"""Words and numbers as a reader of a page wants them; the filters and globals of all templates."""

from jinja2 import Environment
from litestar.datastructures import CacheControlHeader

STATIC_CACHE = CacheControlHeader(public=True, max_age=31_536_000, immutable=True)


def install(environment: Environment) -> None:
    """Give templates their filters."""
    environment.filters.update({})
