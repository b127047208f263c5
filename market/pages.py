"""All HTML routes, collected from the modules."""

from litestar import Router


def routers() -> list[Router]:
    """The routes, for create_app. None of them is part of the API's description."""
    return []
