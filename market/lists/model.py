"""A revision: a change of one service item on its way to being in force; its states, and what people send."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from market.accounts.model import Role
from market.catalogue.model import ChainStage, Guide, ItemContent, ItemList, Limit, RightKind
from market.errors import InvalidTransition
from market.i18n import Words, _

CODE = re.compile("[A-Z0-9][A-Z0-9-]{0,30}[A-Z0-9]")
"""Of a new item: it stands in addresses."""
NOTE_LIMIT = 1_000


class RevisionState(StrEnum):
    """Where a revision stands; NEW is before it exists."""

    NEW = "new"
    DRAFT = "draft"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    PUBLISHED = "published"
    DISCARDED = "discarded"


class RevisionAction(StrEnum):
    """What moves a revision."""

    DRAFT = "draft"
    SAVE = "save"
    SUBMIT = "submit"
    TAKE_BACK = "take_back"
    SEND_BACK = "send_back"
    APPROVE = "approve"
    PUBLISH = "publish"
    DISCARD = "discard"


S, A = RevisionState, RevisionAction

TRANSITIONS: Mapping[tuple[RevisionState, RevisionAction], RevisionState] = {
    (S.NEW, A.DRAFT): S.DRAFT,
    (S.DRAFT, A.SAVE): S.DRAFT,
    (S.DRAFT, A.SUBMIT): S.IN_REVIEW,
    (S.DRAFT, A.DISCARD): S.DISCARDED,
    (S.IN_REVIEW, A.TAKE_BACK): S.DRAFT,
    (S.IN_REVIEW, A.SEND_BACK): S.DRAFT,
    (S.IN_REVIEW, A.APPROVE): S.APPROVED,
    (S.APPROVED, A.TAKE_BACK): S.DRAFT,
    (S.APPROVED, A.SEND_BACK): S.DRAFT,
    (S.APPROVED, A.PUBLISH): S.PUBLISHED,
}

OPEN = frozenset({S.DRAFT, S.IN_REVIEW, S.APPROVED})
"""An item has at most one revision in these states (unique index item_revisions_one_open)."""

STATE_NAMES: Mapping[RevisionState, str] = Words(
    {
        S.NEW: "未起草",
        S.DRAFT: "草稿",
        S.IN_REVIEW: "待审核",
        S.APPROVED: "已通过，待生效",
        S.PUBLISHED: "已生效",
        S.DISCARDED: "已作废",
    }
)
ACTION_NAMES: Mapping[RevisionAction, str] = Words(
    {
        A.DRAFT: "起草",
        A.SAVE: "修改草稿",
        A.SUBMIT: "提交审核",
        A.TAKE_BACK: "撤回修改",
        A.SEND_BACK: "退回修改",
        A.APPROVE: "审核通过",
        A.PUBLISH: "生效",
        A.DISCARD: "作废",
    }
)


def next_state(state: RevisionState, action: RevisionAction) -> RevisionState:
    """Where ``action`` leads from ``state``.

    Raises:
        InvalidTransition: it leads nowhere.
    """
    try:
        return TRANSITIONS[state, action]
    except KeyError:
        raise InvalidTransition(
            _(
                "这份修订现在是「{state}」，不能再「{action}」。请刷新查看最新状态。",
                state=STATE_NAMES[state],
                action=ACTION_NAMES[action],
            )
        ) from None


class Revision(Struct, frozen=True, kw_only=True):
    """A change of one item: a new item (``base_version`` 0), a new version, or its withdrawal."""

    id: int
    item_code: str
    institution_id: int | None
    institution_name: str | None
    institution_region: str | None
    withdraws: bool
    state: RevisionState
    edit: int
    """Grows with every save."""
    base_version: int
    current_version: int
    """The version of the item now in force, 0 for none: where it is not ``base_version`` somebody was faster."""
    content: ItemContent
    reason: str
    effective_from: date | None
    """None: the day it is approved."""
    effective_until: date | None
    version: int | None
    """The version it became."""
    writers: tuple[int, ...]
    """Accounts that wrote any of it, who therefore cannot approve it."""
    saved_by: str
    saved_at: datetime

    @property
    def state_name(self) -> str:
        """The state in words."""
        return STATE_NAMES[self.state]

    @property
    def form(self) -> "ContentForm":
        """What it says, as its form holds it."""
        said = {name: getattr(self.content, name) for name in ItemContent.__struct_fields__}
        return ContentForm(
            **said, effective_from=self.effective_from, effective_until=self.effective_until, reason=self.reason
        )

    @property
    def kind_name(self) -> str:
        """What it would do, in words."""
        return _("撤销") if self.withdraws else _("修订") if self.base_version else _("新增")


class Step(Struct, frozen=True, kw_only=True):
    """One event of a revision."""

    action: RevisionAction
    to_state: RevisionState
    actor_name: str | None
    actor_role: Role | None
    note: str
    at: datetime

    @property
    def words(self) -> str:
        """What was done."""
        return ACTION_NAMES[self.action]


class TakeUp(Struct, frozen=True, kw_only=True):
    """An item of the common list, and since when an institution has taken it up: None where it has not."""

    item_code: str
    item_name: str
    item_group: str
    taken_up_at: datetime | None
    offerings: int
    """How many offerings of the institution are published under it."""


class Lists(Struct, frozen=True, kw_only=True):
    """What an institution has on its lists."""

    taken_up: tuple[TakeUp, ...]
    specific: tuple[str, ...]
    """Codes of its own items in force."""


# what people send -----------------------------------------------------------------------------------------------------

Text = Annotated[str, Meta(max_length=500)]
Note = Annotated[str, Meta(max_length=NOTE_LIMIT)]


class ContentForm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said of an item in a draft. A draft may leave things open; ``service.submit`` says what is missing."""

    name: Annotated[str, Meta(min_length=2, max_length=100)]
    item_group: Annotated[str, Meta(min_length=1, max_length=50)]
    item_list: ItemList
    rights: tuple[RightKind, ...] = ()
    stages: tuple[ChainStage, ...] = ()
    aliases: Annotated[tuple[Text, ...], Meta(max_length=50)] = ()
    guide: Guide = Guide()
    fee: Text | None = None
    handlers: Annotated[tuple[Text, ...], Meta(max_length=50)] = ()
    statutory_limit: Limit | None = None
    promised_limit: Limit | None = None
    effective_from: date | None = None
    effective_until: date | None = None
    reason: Note = ""

    @property
    def content(self) -> ItemContent:
        """Without when and why."""
        return ItemContent(**{name: getattr(self, name) for name in ItemContent.__struct_fields__})


class NewRevision(ContentForm, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A draft of a new item, or of the next version of the item with that code."""

    item_code: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    """None: a code of the platform's making."""


class Save(ContentForm, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A draft as changed, and the edit it was read in."""

    edit: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    base_version: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    """The item's version that the draft now starts from, for who has seen it; None: as before."""


class Withdrawal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The wish to withdraw an item, and from when on."""

    reason: Annotated[str, Meta(min_length=1, max_length=NOTE_LIMIT)]
    effective_from: date | None = None


class Move(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step of a revision, by whoever has seen this edit of it."""

    action: RevisionAction
    edit: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    note: Note = ""
