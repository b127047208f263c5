"""Use cases of lists: drafting, reviewing and publishing revisions; taking up the common list is taking_up.py.

The province's lists are the admins', a specific list is its institution's. Whoever wrote any of a revision does not
approve it: another admin does, or for a specific list a coordinator of the institution's region.
"""

from datetime import date, datetime, timedelta

from infra.db import Transaction
from market.accounts.model import Actor, Role
from market.calendars.model import ZONE
from market.catalogue import queries as catalogue
from market.catalogue import service as items
from market.catalogue.changes import dates_in_words, in_words
from market.catalogue.model import ItemList, ServiceItem
from market.diff import FieldDiff, compare
from market.errors import Conflict, EditedMeanwhile, Forbidden, InvalidInput, NotFound
from market.i18n import N_, _
from market.lists import queries
from market.lists.model import (
    CODE,
    ContentForm,
    Move,
    NewRevision,
    Revision,
    RevisionAction,
    RevisionState,
    Save,
    Withdrawal,
    next_state,
)

OWN_STEPS = frozenset({RevisionAction.SUBMIT, RevisionAction.TAKE_BACK, RevisionAction.DISCARD})
REVIEW_STEPS = frozenset({RevisionAction.APPROVE, RevisionAction.SEND_BACK})
BASE_MOVED = N_("事项在起草之后有了新的一版（第 {version} 版）。请打开草稿，对照改动后保存，再继续。")


# who may --------------------------------------------------------------------------------------------------------------


def writes(actor: Actor, institution_id: int | None) -> bool:
    """Whether the list is the actor's to write; None: the province's."""
    if institution_id is None:
        return actor.role is Role.ADMIN
    return actor.institution_id == institution_id


def reviews(actor: Actor, revision: Revision) -> bool:
    """Whether the actor may decide on the revision."""
    if actor.id in revision.writers:
        return False
    if revision.institution_id is None:
        return actor.role is Role.ADMIN
    near = revision.institution_region or ""
    return actor.role is Role.COORDINATOR and actor.node_prefix is not None and near.startswith(actor.node_prefix)


# drafting -------------------------------------------------------------------------------------------------------------


async def draft(tx: Transaction, actor: Actor, form: NewRevision) -> int:
    """A new draft, of a new item or of an item's next version; its id.

    Raises:
        Forbidden: the actor has no list.
        NotFound: the code is that of an item on somebody else's list.
        Conflict: the item has an open revision already.
        InvalidInput: by field.
    """
    if not writes(actor, actor.institution_id):
        raise Forbidden
    item = form.item_code and await catalogue.item(tx, form.item_code)
    if item and item.institution_id != actor.institution_id:
        raise NotFound
    if form.item_code and not item:
        _check_code(actor, form.item_code)
    said = ContentForm(**{name: getattr(form, name) for name in ContentForm.__struct_fields__})
    _check(actor, said, item or None)
    return await _insert(tx, actor, form.item_code, said, base_version=item.version if item else 0)


async def withdraw(tx: Transaction, actor: Actor, item_code: str, wish: Withdrawal) -> int:
    """A revision that would withdraw the item, sent to review; its id.

    Raises:
        NotFound, Conflict: as ``draft``.
        InvalidInput: it is withdrawn already, or the day is past.
    """
    item = await own_item(tx, actor, item_code)
    if item.withdrawn_on is not None:
        raise InvalidInput(fields={"reason": _("这个事项已经撤销。")})
    form = form_of(item, reason=wish.reason, effective_from=wish.effective_from)
    revision_id = await _insert(tx, actor, item.code, form, base_version=item.version, withdraws=True)
    await move(tx, actor, revision_id, Move(action=RevisionAction.SUBMIT, edit=1))
    return revision_id


async def own_item(tx: Transaction, actor: Actor, item_code: str) -> ServiceItem:
    """An item of a list that the actor writes.

    Raises:
        NotFound: it is on another list, or there is none.
    """
    item = await items.find(tx, item_code)
    if not writes(actor, item.institution_id):
        raise NotFound
    return item


def form_of(item: ServiceItem, *, reason: str = "", effective_from: date | None = None) -> ContentForm:
    """The form of a revision that would change nothing."""
    said = {name: getattr(item, name) for name in item.content.__struct_fields__}
    return ContentForm(**said, reason=reason, effective_from=effective_from)


async def save(tx: Transaction, actor: Actor, revision_id: int, form: Save) -> None:
    """Replace what a draft says.

    Raises:
        NotFound: it is not the actor's.
        InvalidTransition: it is no draft any more.
        Conflict: it is a withdrawal, which has nothing to edit.
        EditedMeanwhile: somebody saved it since ``form.edit`` was read.
        InvalidInput: by field.
    """
    revision = await _own(tx, actor, revision_id)
    next_state(revision.state, RevisionAction.SAVE)
    if revision.withdraws:
        raise Conflict(_("撤销的理由和日期不能修改，请作废后重新提出。"))
    _check_edit(revision, form.edit)
    said = ContentForm(**{name: getattr(form, name) for name in ContentForm.__struct_fields__})
    _check(actor, said, await catalogue.item(tx, revision.item_code))
    base = revision.base_version if form.base_version is None else min(form.base_version, revision.current_version)
    await queries.save(tx, revision, said, base, actor.id)


# moving ---------------------------------------------------------------------------------------------------------------


async def move(tx: Transaction, actor: Actor, revision_id: int, wish: Move) -> RevisionState:
    """Submit, take back or discard one's own; approve or send back somebody else's. The new state.

    What is approved and whose day has come is in force with the same transaction.

    Raises:
        NotFound: it is not the actor's to see.
        Forbidden: it is not the actor's move; above all, nobody approves what he wrote.
        InvalidTransition: the state does not allow it.
        EditedMeanwhile: the revision has been edited since.
        Conflict: the item has a newer version than the revision starts from.
        InvalidInput: what is missing, by field.
    """
    revision = await _find(tx, actor, revision_id, locked=True)
    after = next_state(revision.state, wish.action)
    if wish.action in OWN_STEPS and writes(actor, revision.institution_id):
        pass
    elif wish.action not in REVIEW_STEPS or not reviews(actor, revision):
        raise Forbidden(
            _("起草和修改过的人不能自己审核，请由另一位同事审核。") if actor.id in revision.writers else None
        )
    _check_edit(revision, wish.edit)
    if wish.action is RevisionAction.SEND_BACK and not wish.note.strip():
        raise InvalidInput(fields={"note": _("请写明退回的理由，起草人要据此修改。")})
    if wish.action in (RevisionAction.SUBMIT, RevisionAction.APPROVE):
        _check_base(revision)
    if wish.action is RevisionAction.SUBMIT:
        _check_complete(revision)
    if wish.action is RevisionAction.APPROVE and revision.effective_until and revision.effective_until < today():
        raise Conflict(_("它的有效期已经过去，请退回修改。"))
    await queries.move(tx, revision, wish.action, after, actor.id, note=wish.note)
    if after is RevisionState.APPROVED and (revision.effective_from or today()) <= today():
        return await _publish(tx, revision_id, today())  # what is approved late is in force from then on
    return after


async def take_effect(tx: Transaction, day: date) -> int:
    """Put in force what was approved for ``day`` or earlier, in that order, and withdraw what has run out; how many.

    What was overtaken by a newer version goes back to its writers.
    """
    due = await queries.due(tx, day)
    for revision_id in due:
        await _publish(tx, revision_id, None)
    expired = await catalogue.expired(tx, day)
    for code in expired:
        item = await items.find(tx, code)
        assert item.effective_until is not None, "that is how it expired"
        await catalogue.withdraw(tx, code, item.effective_until + timedelta(days=1))
    return len(due) + len(expired)


def today() -> date:
    """The day in China."""
    return datetime.now(ZONE).date()


# reading --------------------------------------------------------------------------------------------------------------


async def find(tx: Transaction, actor: Actor, revision_id: int) -> Revision:
    """The revision.

    Raises:
        NotFound: it is not the actor's to see.
    """
    return await _find(tx, actor, revision_id)


async def differences(tx: Transaction, revision: Revision) -> list[FieldDiff]:
    """What the revision would change in the item's version it starts from; all it says, for a new item."""
    after = said(revision.form)
    base = await catalogue.item(tx, revision.item_code, revision.base_version) if revision.base_version else None
    if base is None:
        return compare(dict.fromkeys(after, ""), after)
    return compare(in_words(base.content), in_words(revision.content))


async def since_edit(tx: Transaction, revision: Revision, edit: int) -> list[FieldDiff]:
    """What others have changed in a draft since that edit."""
    seen = await queries.edit(tx, revision.id, edit)
    return compare(said(seen), said(revision.form)) if seen else []


async def since_base(tx: Transaction, revision: Revision) -> list[FieldDiff]:
    """What has changed in the item since the version the draft starts from."""
    if revision.base_version in (0, revision.current_version):
        return []
    old = await items.find(tx, revision.item_code, revision.base_version)
    new = await items.find(tx, revision.item_code, revision.current_version)
    return compare(in_words(old.content), in_words(new.content))


def said(form: ContentForm) -> dict[str, str]:
    """A draft in words by label."""
    dates = dates_in_words(form.effective_from, form.effective_until)
    return in_words(form.content) | dates | {_("修订说明"): form.reason or _("未填写")}


# shared steps ---------------------------------------------------------------------------------------------------------


async def _find(tx: Transaction, actor: Actor, revision_id: int, *, locked: bool = False) -> Revision:
    revision = await queries.find(tx, actor, revision_id, locked=locked)
    if revision is None:
        raise NotFound
    return revision


async def _own(tx: Transaction, actor: Actor, revision_id: int) -> Revision:
    revision = await _find(tx, actor, revision_id, locked=True)
    if not writes(actor, revision.institution_id):
        raise NotFound
    return revision


async def _insert(
    tx: Transaction,
    actor: Actor,
    item_code: str | None,
    form: ContentForm,
    *,
    base_version: int,
    withdraws: bool = False,
) -> int:
    revision_id = await queries.insert(
        tx,
        item_code=item_code,
        prefix=f"J{actor.institution_id}-" if actor.institution_id else "P-",
        institution_id=actor.institution_id,
        withdraws=withdraws,
        base_version=base_version,
        form=form,
        actor_id=actor.id,
    )
    if revision_id is None:
        raise Conflict(_("这个事项已有一份未完成的修订，请在那一份上继续，或先把它作废。"))
    return revision_id


async def _publish(tx: Transaction, revision_id: int, day: date | None) -> RevisionState:
    """Put an approved revision in force from ``day`` on, None: from its own; the state it comes to.

    Locks the revision, then the stamp, as all do.
    """
    await queries.lock(tx, revision_id)
    await catalogue.hold_stamp(tx)
    revision = await queries.by_id(tx, revision_id)
    if revision.state is not RevisionState.APPROVED:  # taken back while this waited
        return revision.state
    if revision.base_version != revision.current_version:
        note = _(BASE_MOVED, version=revision.current_version)
        await queries.move(tx, revision, RevisionAction.SEND_BACK, RevisionState.DRAFT, None, note=note)
        return RevisionState.DRAFT
    day = day or revision.effective_from
    assert day is not None, "what waits for its day has one"
    version = None
    if revision.withdraws:
        await catalogue.withdraw(tx, revision.item_code, day)
    else:
        version = await catalogue.add_version(
            tx,
            revision.item_code,
            revision.content,
            institution_id=revision.institution_id,
            effective_from=day,
            effective_until=revision.effective_until,
        )
    await queries.move(tx, revision, RevisionAction.PUBLISH, RevisionState.PUBLISHED, None, version=version)
    return RevisionState.PUBLISHED


def _check(actor: Actor, form: ContentForm, item: ServiceItem | None) -> None:
    """Refuse a list that is not the actor's, and a period that ends before it begins."""
    fields = {}
    if actor.institution_id is not None and form.item_list is not ItemList.SPECIFIC:
        fields["item_list"] = _("机构编制的是个性化清单；共性清单的事项请直接认领。")
    if (
        actor.institution_id is None
        and form.item_list is ItemList.SPECIFIC
        and (item is None or item.item_list is not ItemList.SPECIFIC)
    ):
        fields["item_list"] = _("个性化清单由机构自己编制，请选事项清单或共性清单。")
    if form.effective_until and form.effective_until < max(form.effective_from or today(), today()):
        fields["effective_until"] = _("有效期不能早于生效日期和今天。")
    if fields:
        raise InvalidInput(fields=fields)


def _check_code(actor: Actor, code: str) -> None:
    """Refuse a new item's code that would not do in an address, or that an institution made up."""
    if actor.institution_id is not None:
        raise InvalidInput(fields={"item_code": _("新事项的编码由平台给出，请留空。")})
    if not CODE.fullmatch(code):
        raise InvalidInput(fields={"item_code": _("编码用 2 到 32 个大写字母、数字和连字符，例如 GD-2026-01。")})


def _check_edit(revision: Revision, edit: int) -> None:
    if edit != revision.edit:
        raise EditedMeanwhile


def _check_base(revision: Revision) -> None:
    if revision.base_version != revision.current_version:
        raise Conflict(_(BASE_MOVED, version=revision.current_version))


def _check_complete(revision: Revision) -> None:
    """Refuse to send to review what a reader could not use."""
    content, guide = revision.content, revision.content.guide
    missing = {
        "rights": not content.rights,
        "stages": not content.stages,
        "guide.audience": not guide.audience,
        "guide.channels": not guide.channels,
        "guide.process": not guide.process,
        "guide.result": not guide.result,
    }
    fields = {
        name: _("提交审核前请填写这一项。") for name, lacks in missing.items() if lacks and not revision.withdraws
    }
    if revision.effective_from and revision.effective_from < today():
        fields["effective_from"] = _("生效日期已过，请改为今天或以后，或留空。")
    if fields:
        raise InvalidInput(fields=fields)
