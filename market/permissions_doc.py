"""docs/permissions.md: the table of market/permissions.py. ``make permissions`` writes it anew."""

from pathlib import Path

from litestar import Litestar

from infra.settings import load
from market.accounts.model import Role
from market.app import create_app
from market.permissions import API, REACH, VISITOR, WHO, Row, areas, rows

PATH = Path(__file__).parents[1] / "docs" / "permissions.md"
HEAD = """# Who may do what

Written by `make permissions` from `market/permissions.py` and the guards of the routes: what the application enforces.
`tests/web/test_permissions.py` tries every cell, with objects of one's own and of others.

- **✓**: may. **–**: may not; 401 (pages: to the log-in page) for visitors, 403 for others.
- **own**, **region**, **node**, **all**: may, with one's own objects; with those of the coordinator's region and below;
  with those of the coordinator's own node; with all. What is out of reach answers 404, as if it were not there; for
  what is no secret, such as a region's time limits, 403. An admin's own lists are the province's.
- **top**: only coordinators of a node with none above.
- What state a thing has to be in, and who of several coordinators owns a need, is checked besides (409).
- Of a need an institution sees nothing before a match of its own is approved; an enterprise never sees mere proposals.

| object in the path | """
TOKENS = """
## Tokens

An API token may do what its account may, or less, by its scopes: `read` (every GET), `write` (everything), or of one
area `needs:read`, `needs:write` and so on; one that has no scopes may do everything. The areas: {areas}.
"""


def document(app: Litestar) -> str:
    """The whole file."""
    found = rows(app)
    parts = [HEAD + " | ".join(WHO[1:]) + " |", "|---" * len(WHO) + "|"]
    parts += [
        f"| `{name}` | " + " | ".join(str(reach.get(Role(who), "–")) for who in WHO[1:]) + " |"
        for name, reach in REACH.items()
    ]
    for title, of_api in (("API", True), ("Pages", False)):
        parts += ["", f"## {title}", "", "| route | " + " | ".join(WHO) + " |", "|---" * (len(WHO) + 1) + "|"]
        parts += [_line(row) for row in found if row.path.startswith(API) is of_api]
    return "\n".join(parts) + "\n" + TOKENS.format(areas=", ".join(f"`{area}`" for area in areas(app)))


def _line(row: Row) -> str:
    return f"| {row.method} `{row.path}` | " + " | ".join(_cell(row, who) for who in WHO) + " |"


def _cell(row: Row, who: str) -> str:
    if who not in row.reach:
        return "–"
    if row.top_only and who == "coordinator":
        return "top"
    reach = row.reach[who]
    return "✓" if reach is None or who == VISITOR else str(reach)


def main() -> None:
    """Write the file."""
    settings = load({}, database_url="postgresql:///none", redis_url="redis://localhost")
    PATH.write_text(document(create_app(settings, csrf_secret="x" * 32)))


if __name__ == "__main__":
    main()
