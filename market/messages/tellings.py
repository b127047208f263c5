"""Who is told of what: the one table, and what is known of an event when it is told. Pure."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

from market.messages.model import Subject


class Audience(StrEnum):
    """To whom something is told, as seen from the event. Whoever acted is never told of it."""

    PARTY = "party"
    """The enterprise's accounts, or whoever filed at the counter."""
    INSTITUTION = "institution"
    """The institution of the match, once that was more than a proposal."""
    OWNER = "owner"
    """Whoever owns the need; while nobody does, the node's queue is where it waits."""
    NODE = "node"
    """All coordinators of the node where the need lies, or which supervises."""
    OFFERED = "offered"
    """To whom the need is offered."""
    OFFERER = "offerer"
    """Who offered it."""
    FORMER = "former"
    """Who owned it before."""
    ADDRESSED = "addressed"
    """Whom a clock's event names."""
    REVIEWERS = "reviewers"
    """Who may decide on a revision, and wrote none of it."""
    WRITERS = "writers"
    """Who wrote it."""
    HIMSELF = "himself"
    """The account that it happened to."""


class Telling(Struct, frozen=True):
    """One audience of an event. ``kind`` names the words (words.py)."""

    to: Audience
    kind: str
    urgent: bool = False


class Silence(Struct, frozen=True):
    """Why nobody is told of an event."""

    why: str


P, I, O = Audience.PARTY, Audience.INSTITUTION, Audience.OWNER  # noqa: E741
BY_MATCH = Silence("the step of its match, written with it, is told")
A_MOMENT_LATER = Silence("the ranking that follows a moment later is told")
OWN_DOING = Silence("only those know of it who do it")

TOLD: Mapping[tuple[str, str], tuple[Telling, ...] | Silence] = {
    ("need", "submit"): A_MOMENT_LATER,
    ("need", "propose"): (Telling(O, "proposal"),),
    ("need", "find_none"): (Telling(P, "none_found"), Telling(O, "none_found_owner")),
    ("need", "rank_again"): A_MOMENT_LATER,
    ("need", "approve"): BY_MATCH,
    ("need", "override"): BY_MATCH,
    ("need", "return"): (Telling(P, "returned", urgent=True),),
    ("need", "return_again"): (Telling(P, "returned", urgent=True),),
    ("need", "resubmit"): (Telling(O, "resubmitted"),),
    ("need", "escalate"): (Telling(Audience.NODE, "escalated", urgent=True), Telling(P, "escalated_party")),
    ("need", "accept"): BY_MATCH,
    ("need", "decline"): BY_MATCH,
    ("need", "lapse"): BY_MATCH,
    ("need", "deliver"): BY_MATCH,
    ("need", "confirm"): BY_MATCH,
    ("need", "rework"): BY_MATCH,
    ("need", "withdraw"): (Telling(O, "withdrawn"),),
    ("need", "close"): (Telling(P, "closed"),),
    ("need", "take"): (Telling(P, "taken"),),
    ("need", "offer"): (Telling(Audience.OFFERED, "offered", urgent=True),),
    ("need", "take_on"): (Telling(Audience.OFFERER, "taken_on"),),
    ("need", "turn_down"): (Telling(Audience.OFFERER, "turned_down", urgent=True),),
    ("need", "call_off"): Silence("the offer is gone from the colleague's page before it was answered"),
    ("need", "take_over"): (Telling(Audience.FORMER, "taken_over"),),
    ("match", "propose"): Silence("a mere proposal is the node's business, and the need's step is told there"),
    ("match", "override"): (Telling(I, "assignment", urgent=True), Telling(P, "assigned")),
    ("match", "approve"): (Telling(I, "assignment", urgent=True), Telling(P, "assigned")),
    ("match", "supersede"): (Telling(I, "taken_away"),),
    ("match", "cancel"): (Telling(I, "taken_away"),),
    ("match", "accept"): (Telling(P, "accepted"),),
    ("match", "decline"): (Telling(P, "declined"), Telling(O, "declined_owner")),
    ("match", "lapse"): (Telling(I, "lapsed"), Telling(P, "declined"), Telling(O, "lapsed_owner")),
    ("match", "request_decline"): (Telling(O, "decline_requested", urgent=True),),
    ("match", "grant_decline"): (Telling(I, "decline_granted"), Telling(P, "declined")),
    ("match", "refuse_decline"): (Telling(I, "decline_refused", urgent=True),),
    ("match", "deliver"): (Telling(P, "delivered", urgent=True),),
    ("match", "confirm"): (Telling(I, "confirmed"), Telling(O, "confirmed")),
    ("match", "rework"): (Telling(I, "rework", urgent=True), Telling(O, "rework_owner")),
    ("rating", "rate"): (Telling(I, "rated"),),
    ("rating", "add_remark"): (Telling(I, "remark_added"),),
    ("rating", "reply"): (Telling(P, "rating_answered"),),
    ("rating", "report"): (Telling(O, "reported", urgent=True),),
    ("rating", "keep"): (Telling(I, "rating_kept"), Telling(P, "rating_kept")),
    ("rating", "withhold"): (Telling(I, "rating_withheld"), Telling(P, "rating_withheld")),
    ("rectification", "open"): (Telling(O, "verify", urgent=True),),
    ("rectification", "verify"): (Telling(I, "rectify", urgent=True), Telling(P, "rectify_party")),
    ("rectification", "dismiss"): (Telling(I, "dismissed"), Telling(P, "dismissed")),
    ("rectification", "rectify"): Silence("the institution goes on to answer, and that is told"),
    ("rectification", "answer"): (Telling(P, "revisit", urgent=True), Telling(O, "answered_owner")),
    ("rectification", "satisfied"): (Telling(I, "satisfied"), Telling(O, "to_close")),
    ("rectification", "send_back"): (Telling(I, "rectify_again", urgent=True), Telling(O, "sent_back_owner")),
    ("rectification", "unsatisfied"): (Telling(I, "unsatisfied"), Telling(O, "to_close")),
    ("rectification", "close"): (Telling(I, "rectified"), Telling(P, "rectified")),
    ("rectification", "drop"): Silence("it ends with the rating, and that is told"),
    ("deadline", "remind"): (Telling(Audience.ADDRESSED, "remind", urgent=True),),
    ("deadline", "expire"): (Telling(Audience.ADDRESSED, "expire", urgent=True),),
    ("deadline", "escalate"): (Telling(Audience.ADDRESSED, "late_node", urgent=True),),
    ("deadline", "escalate_above"): (Telling(Audience.ADDRESSED, "late_above", urgent=True),),
    ("deadline", "recount"): Silence("a day moves later only, and pages show the new one"),
    ("deadline", "start"): Silence("what starts the clock is told, with the day"),
    ("deadline", "pause"): Silence("what stops the clock is told"),
    ("deadline", "resume"): Silence("what lets it go on is told"),
    ("deadline", "finish"): Silence("what was limited is done, and that is told"),
    ("deadline", "cancel"): Silence("nobody waits for it any more"),
    ("item", "draft"): OWN_DOING,
    ("item", "save"): OWN_DOING,
    ("item", "submit"): (Telling(Audience.REVIEWERS, "review_asked"),),
    ("item", "take_back"): Silence("it is gone from the reviewers' list"),
    ("item", "send_back"): (Telling(Audience.WRITERS, "revision_sent_back", urgent=True),),
    ("item", "approve"): (Telling(Audience.WRITERS, "revision_approved"),),
    ("item", "publish"): (Telling(Audience.WRITERS, "revision_in_force"),),
    ("item", "discard"): OWN_DOING,
    ("supervision", "notice"): (Telling(I, "supervision_notice", urgent=True),),
    ("supervision", "plan"): (Telling(Audience.NODE, "supervision_plan", urgent=True),),
    ("supervision", "send_back"): (Telling(I, "supervision_sent_back", urgent=True),),
    ("supervision", "check"): (Telling(I, "supervision_checked"),),
    ("supervision", "close"): (Telling(I, "supervision_closed"),),
    ("supervision", "call_off"): (Telling(I, "supervision_called_off"),),
    ("ledger", "correct"): (Telling(I, "ledger_corrected"),),
    ("letter", "write"): tuple(Telling(to, "letter") for to in (P, I, O, Audience.NODE)),
    ("webhook", "disable"): (Telling(Audience.HIMSELF, "webhook_disabled", urgent=True),),
}
"""Machine and action → who is told. A test holds it complete: an action that is added is told, or says why not."""

SUBJECTS: Mapping[str, Subject] = {
    "need": Subject.NEEDS,
    "match": Subject.NEEDS,
    "deadline": Subject.DEADLINES,
    "rating": Subject.RATINGS,
    "rectification": Subject.RATINGS,
    "item": Subject.LISTS,
    "supervision": Subject.SUPERVISION,
    "ledger": Subject.SUPERVISION,
    "letter": Subject.NEEDS,
    "webhook": Subject.ACCOUNT,
}
GIVES_AWAY = frozenset({"rate", "add_remark"})
"""Steps of an anonymous rating whose very day would tell the rated who it was: the first he hears of is the ruling."""
PASSING = frozenset({("need", "propose"), ("need", "find_none"), ("item", "submit"), ("item", "approve")})
"""Steps that ask for, or announce, the next one: where that has been taken before anybody was told, nobody is."""
OF_RATING = frozenset({"rating", "rectification"})


class Facts(Struct, frozen=True, kw_only=True):
    """What is known of an event when it is told."""

    source: str
    id: int
    machine: str
    action: str
    from_state: str
    actor_id: int | None
    data: dict[str, Any]
    at: datetime
    moved_on: bool = False
    """Whether the need or revision has left the state that the step led to."""
    need_id: int | None = None
    enterprise_id: int | None = None
    submitted_by: int | None = None
    at_counter: bool = False
    node_id: int | None = None
    node_name: str | None = None
    owner_id: int | None = None
    offered_to: int | None = None
    offerer_id: int | None = None
    institution_id: int | None = None
    institution_name: str | None = None
    rating_id: int | None = None
    anonymous: bool = False
    due_at: datetime | None = None
    revision_id: int | None = None
    item_name: str | None = None
    supervision_id: int | None = None
    period: str | None = None
    """The closed month that was corrected."""
    writers: tuple[int, ...] = ()
    reviewers: tuple[int, ...] = ()

    @property
    def of_rating(self) -> bool:
        """Whether it tells of a rating, or of the clocks of its rectification."""
        return self.machine in OF_RATING or str(self.data.get("limit", "")).startswith("rectification")


class Group(StrEnum):
    """How the accounts of an audience are found."""

    ACCOUNT = "account_id"
    ENTERPRISE = "enterprise_id"
    INSTITUTION = "institution_id"
    NODE = "node_id"


Address = tuple[Group, int]


def addresses(facts: Facts, to: Audience) -> tuple[Address, ...]:
    """Where the audience of an event is found; nowhere for an empty tuple."""
    found: Mapping[Audience, tuple[Group, int | None]] = {
        P: (Group.ACCOUNT, facts.submitted_by) if facts.at_counter else (Group.ENTERPRISE, facts.enterprise_id),
        I: (Group.INSTITUTION, facts.institution_id if _told_to_institution(facts) else None),
        O: (Group.ACCOUNT, facts.owner_id),
        Audience.NODE: (Group.NODE, facts.node_id),
        Audience.OFFERED: (Group.ACCOUNT, facts.offered_to),
        Audience.OFFERER: (Group.ACCOUNT, facts.offerer_id),
        Audience.FORMER: (Group.ACCOUNT, facts.data.get("from_id")),
        Audience.HIMSELF: (Group.ACCOUNT, facts.data.get("account_id")),
    }
    if to is Audience.ADDRESSED:
        return tuple((Group(name), one[name]) for one in facts.data.get("to", ()) for name in one)
    if to in (Audience.WRITERS, Audience.REVIEWERS):
        some = facts.writers if to is Audience.WRITERS else facts.reviewers
        return tuple((Group.ACCOUNT, account_id) for account_id in some)
    group, object_id = found[to]
    return () if object_id is None else ((group, object_id),)


def tellings(facts: Facts) -> tuple[Telling, ...]:
    """Who is told of the event; nobody where the table says so, or knows nothing of it."""
    step = (facts.machine, facts.action)
    told = TOLD.get(step, ())
    return () if isinstance(told, Silence) or (facts.moved_on and step in PASSING) else told


def _told_to_institution(facts: Facts) -> bool:
    """An institution never learns that it was considered, nor when it was rated by somebody who wished to be nobody."""
    considered = facts.machine == "match" and facts.from_state == "proposed" and facts.action != "approve"
    return not considered and not (facts.anonymous and facts.action in GIVES_AWAY)
