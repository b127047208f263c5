"""A letter on a need (留言), and a need's conversation as one reader finds it. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from market.accounts.model import Role
from market.i18n import Words
from market.needs.model import Event, Note

MACHINE, ACTION = "letter", "write"
"""What a letter is called among the steps of a need."""
ACTION_NAMES: Mapping[str, str] = Words({ACTION: "留言"})
WRITERS = frozenset({Role.ENTERPRISE, Role.CLERK, Role.COORDINATOR, Role.INSTITUTION})
"""Who writes on the needs that concern them; admins only read."""


class NewLetter(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody wants to say."""

    text: Note


class Letter(Struct, frozen=True, kw_only=True):
    """A letter. ``match_id``: the match whose institution reads it; None: written while nobody was assigned."""

    id: int
    need_id: int
    match_id: int | None
    author_name: str
    author_role: Role
    text: str
    at: datetime

    def as_step(self) -> Event:
        """The letter as a step in the need's story."""
        return Event(
            id=self.id,
            need_id=self.need_id,
            match_id=self.match_id,
            machine=MACHINE,
            from_state="",
            action=ACTION,
            to_state="",
            actor_name=self.author_name,
            actor_role=self.author_role,
            institution_name=None,
            note=self.text,
            data={},
            at=self.at,
        )


class Conversation(Struct, frozen=True, kw_only=True):
    """A need's letters, oldest first, and whether the reader may add one."""

    letters: list[Letter]
    may_write: bool
    takes: bool
    """Whether the reader would own the need by writing (首问负责)."""
    institution_name: str | None
    """Whose institution reads what is written now."""

    def among(self, events: Iterable[Event]) -> list[Event]:
        """The letters in their places among the need's steps."""
        return sorted([*events, *(one.as_step() for one in self.letters)], key=lambda step: step.at)
