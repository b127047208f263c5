"""How far a candidate came, as a grade to learn from and to judge by."""

from collections.abc import Mapping
from typing import Literal

Outcome = Literal["passed_over", "shortlisted", "approved", "accepted", "completed", "rated_well"]
GRADES: Mapping[Outcome, int] = {
    "passed_over": 0,
    "shortlisted": 1,
    "approved": 2,
    "accepted": 3,
    "completed": 4,
    "rated_well": 5,
}
"""How far a candidate came, as a grade: each step asked one more person to agree.

Keep some candidates that were passed over, not only those shown. All that were shown fit the item, say; from them
alone a model would learn that the item does not matter.
"""
BEST = max(GRADES.values())


def grade(outcome: Outcome, *, by_override: bool = False) -> int:
    """The grade 0..5 of a candidate.

    One that a coordinator put in place of ours gets the best grade whatever came of it: it is the one label that
    does not repeat what we ranked. The candidate it replaced stays `shortlisted`.
    """
    return BEST if by_override else GRADES[outcome]
