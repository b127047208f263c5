"""A search text as the terms of a plain listing: what serves before, and beneath, a search engine."""

import unicodedata

MOST_TERMS = 8
LONGEST_TERM = 50


def like_patterns(text: str) -> list[str] | None:
    """LIKE patterns of which a row must fit every one; None for a text without a term.

    Terms are parted by white space. What LIKE would read as a wildcard stands for itself.
    """
    # NUL ends a text inside PostgreSQL; other control characters are in nobody's catalogue
    visible = "".join(
        " " if unicodedata.category(c) in ("Cc", "Cs") else c for c in unicodedata.normalize("NFKC", text)
    )
    terms = [term[:LONGEST_TERM] for term in visible.split()][:MOST_TERMS]
    return ["%" + term.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_") + "%" for term in terms] or None
