"""Use cases of ratings: given once by whoever was served, answered and contested by the rated, ruled on by the node.

Every use case locks the need first, as those of matches do, so that two people never wait for each other.
"""

from datetime import UTC, datetime

from infra.db import Transaction
from market.accounts.model import Actor, Role
from market.audit import service as audit
from market.audit.model import Action
from market.calendars.service import Deadlines
from market.deadlines import service as limits
from market.deadlines.model import LimitKind
from market.errors import AlreadyRated, Conflict, Forbidden, InvalidInput, InvalidTransition, NotFound
from market.i18n import _
from market.matches import queries as matches
from market.matches.model import Match, MatchState
from market.needs import queries as need_queries
from market.needs import service as needs
from market.needs.model import Channel, Need, NeedState
from market.ratings import queries
from market.ratings.figures import ItemTally, Tally, total
from market.ratings.model import (
    OPEN_FILTERS,
    RATING_ACTORS,
    Place,
    Rating,
    RatingAction,
    RatingFilter,
    RatingForm,
    RatingState,
    RectificationAction,
    Ruling,
    Step,
    next_rating_state,
    next_state,
    seen_by,
)
from market.ratings.scale import indicators
from market.ratings.suspicion import Hint, hints

OBSERVED_DAYS, OBSERVED_ROWS = 180, 20_000
"""What the statistics look at."""
FIRST = Place(datetime(1970, 1, 1, tzinfo=UTC), 0)
"""Before every deadline."""

# whoever was served --------------------------------------------------------------------------------------------------


async def rate(
    tx: Transaction, actor: Actor, need_id: int, form: RatingForm, deadlines: Deadlines, source: bytes | None
) -> Rating:
    """Rate the service that ended a need; a bad rating opens a rectification.

    A clerk writes down what somebody said at the counter; ``source`` (a keyed hash of an address) means nothing there.
    Whoever shows the code of a receipt from the counter rates for himself.

    Raises:
        NotFound: the need is not the actor's.
        Forbidden: the role is not served.
        InvalidTransition: the service is not completed.
        AlreadyRated: it has a rating.
        InvalidInput: an indicator that does not belong to the level, or to how the need came in.
    """
    _check_role(actor, RatingAction.RATE)
    need = await need_queries.find(tx, actor, need_id, lock=True)
    if need is None:
        raise NotFound
    match = await _completed(tx, need)
    if await queries.of_need(tx, need.id) is not None:
        raise AlreadyRated
    _check_indicators(form, need.channel)
    on_behalf = actor.role is Role.CLERK and not actor.by_receipt
    rating_id = await queries.insert(
        tx, match.id, form, actor_id=actor.named, on_behalf=on_behalf, source=None if on_behalf else source
    )
    if form.level.is_bad:
        clock = limits.by_rule(deadlines, LimitKind.RECTIFICATION_VERIFY, need.region_code)
        await queries.open_rectification(
            tx, rating_id, clock.due_at, provisional=clock.provisional, actor_id=actor.named
        )
        await limits.start(tx, need.id, clock, match_id=match.id)
    elif form.remark and not form.anonymous:
        await _expect_reply(tx, need, match.id, deadlines)
    return await find(tx, actor, rating_id)


async def add_remark(tx: Transaction, actor: Actor, need_id: int, remark: str, deadlines: Deadlines) -> Rating:
    """Add a remark to one's own rating, once (追评).

    Raises:
        NotFound: the need is not the actor's, or has no rating.
        Conflict: there is one already.
        InvalidTransition: the rating was withheld.
    """
    rating = await own(tx, actor, need_id)
    rating, need = await to_act(tx, actor, rating.id)
    _check_role(actor, RatingAction.ADD_REMARK)
    if rating.later_remark is not None:
        raise Conflict(_("追加评价只能写一次，已经写过了。"))
    await _move(tx, rating, RatingAction.ADD_REMARK, actor, remark)
    first_words = not rating.remark and rating.reply is None and not rating.level.is_bad
    if first_words and not rating.anonymous and rating.state is not RatingState.REPORTED:
        assert rating.match_id is not None, "the rating is whole"
        await _expect_reply(tx, need, rating.match_id, deadlines)
    return await find(tx, actor, rating.id)


async def own(tx: Transaction, actor: Actor, need_id: int) -> Rating:
    """The rating of the need's service, as the actor is told of it.

    Raises:
        NotFound: the need is not the actor's to see, it has no rating, or it was rated anonymously and the actor is the
            rated: all look the same.
    """
    need = await needs.find(tx, actor, need_id)
    rating = await of_need(tx, actor, need)
    if rating is None:
        raise NotFound
    return rating


async def of_need(tx: Transaction, actor: Actor, need: Need) -> Rating | None:
    """The rating of a need that the actor sees; None where there is none to tell of."""
    rating = await queries.of_need(tx, need.id)
    if rating is None or seen_by(rating, actor.role).need_id is None:
        return None
    return rating


# the rated -----------------------------------------------------------------------------------------------------------


async def reply(tx: Transaction, actor: Actor, rating_id: int, text: str) -> Rating:
    """Answer a rating, once, for everybody to read; a bad one is answered in its rectification.

    Raises:
        Conflict: it has an answer, or will have one there.
    """
    _check_role(actor, RatingAction.REPLY)
    rating, need = await to_act(tx, actor, rating_id)
    if rating.is_open:
        raise Conflict(_("这条评价正在整改，请在整改中答复评价人，答复会一并公开。"))
    if rating.reply is not None or rating.answer is not None:
        raise Conflict(_("这条评价已经回复过了，只能回复一次。"))
    await _move(tx, rating, RatingAction.REPLY, actor, text)
    await limits.finish(tx, need.id, LimitKind.RATING_REPLY)
    return await find(tx, actor, rating.id)


async def report(tx: Transaction, actor: Actor, rating_id: int, reason: str, deadlines: Deadlines) -> Rating:
    """Put a rating before the coordinator as abuse; it stays public, and needs no reply, until the ruling."""
    _check_role(actor, RatingAction.REPORT)
    rating, need = await to_act(tx, actor, rating_id)
    await _move(tx, rating, RatingAction.REPORT, actor, reason)
    await limits.pause(tx, deadlines, need.id, need.region_code, LimitKind.RATING_REPLY)
    clock = limits.by_rule(deadlines, LimitKind.RATING_RULING, need.region_code)
    await limits.start(tx, need.id, clock, match_id=rating.match_id)
    return await find(tx, actor, rating.id)


# the node ------------------------------------------------------------------------------------------------------------


async def rule(tx: Transaction, actor: Actor, rating_id: int, ruling: Ruling, deadlines: Deadlines) -> Rating:
    """Keep a reported rating, or withhold it from the public and the figures; it stays on record either way."""
    _check_role(actor, RatingAction.WITHHOLD)
    rating, need = await to_act(tx, actor, rating_id)
    await _move(tx, rating, RatingAction.KEEP if ruling.keep else RatingAction.WITHHOLD, actor, ruling.note)
    await audit.record(tx, actor, Action.RULE_ON_RATING, f"rating:{rating.id}", kept="yes" if ruling.keep else "no")
    await limits.finish(tx, need.id, LimitKind.RATING_RULING)
    if ruling.keep:
        await limits.resume(tx, deadlines, need.id, need.region_code, LimitKind.RATING_REPLY)
    else:
        await limits.cancel(tx, need.id, LimitKind.RATING_REPLY)
    if not ruling.keep and rating.is_open:
        await _drop(tx, rating, actor)
    return await find(tx, actor, rating.id)


async def suspicions(tx: Transaction, actor: Actor) -> list[Hint]:
    """Patterns of the last half year in the actor's region. Hints for a person: nothing is done by them."""
    return hints(await queries.observed(tx, actor.node_prefix or "", days=OBSERVED_DAYS, limit=OBSERVED_ROWS))


# reading -------------------------------------------------------------------------------------------------------------


async def find(tx: Transaction, actor: Actor, rating_id: int) -> Rating:
    """The rating, as the actor is told of it.

    Raises:
        NotFound: it is not the actor's to see.
    """
    rating = await queries.find(tx, actor, rating_id)
    if rating is None:
        raise NotFound
    return seen_by(rating, actor.role)


async def listing(tx: Transaction, actor: Actor, wanted: RatingFilter, after: Place | None, limit: int) -> list[Rating]:
    """Ratings as the actor is told of them: what waits for somebody by deadline, the rest newest first."""
    if wanted in OPEN_FILTERS:
        found = await queries.open_rows(tx, actor, wanted, after=after or FIRST, limit=limit)
    else:
        found = await queries.rows(tx, actor, wanted, before=after.id if after else None, limit=limit)
    return [seen_by(rating, actor.role) for rating in found]


async def history(tx: Transaction, actor: Actor, rating_id: int) -> list[Step]:
    """The rating's steps and its rectification's, oldest first, as the actor is told of them.

    Raises:
        NotFound: it is not the actor's to see.
    """
    rating = await queries.find(tx, actor, rating_id)
    if rating is None or rating.need_id is None:
        raise NotFound
    events = await need_queries.events(tx, rating.need_id)
    own_events = [one for one in events if one.match_id == rating.match_id and one.machine in needs.RATING_MACHINES]
    hidden = actor.role is Role.INSTITUTION and rating.anonymous
    told = needs.without_the_party(own_events) if hidden else needs.told(own_events, actor.role)
    return [Step(**{name: getattr(event, name) for name in Step.__struct_fields__}) for event in told]


async def by_institution(tx: Transaction, item_code: str) -> list[ItemTally]:
    """Who serves the item how well, the best first by the smoothed mean."""
    found = await queries.tallies(tx, item_code=item_code)
    return sorted(found, key=lambda one: -(Tally(one.counts).smoothed or 0))


async def by_item(tx: Transaction, institution_id: int) -> list[ItemTally]:
    """How an institution serves each item, the most rated first."""
    found = await queries.tallies(tx, institution_id=institution_id)
    return sorted(found, key=lambda one: -Tally(one.counts).count)


def overall(rows: list[ItemTally]) -> Tally:
    """All of them together."""
    return total(Tally(row.counts) for row in rows)


# shared steps --------------------------------------------------------------------------------------------------------


async def to_act(tx: Transaction, actor: Actor, rating_id: int) -> tuple[Rating, Need]:
    """The rating, whole, and its need, which is locked until the transaction ends.

    Raises:
        NotFound: it is not the actor's to see.
        Forbidden: the need lies with a node above the coordinator's.
    """
    seen = await queries.find(tx, actor, rating_id)
    need = seen and seen.need_id and await need_queries.find(tx, actor, seen.need_id, lock=True)
    rating = await queries.find(tx, actor, rating_id)  # again, for it may have moved before the lock was had
    if not need or rating is None:
        raise NotFound
    if actor.role is Role.COORDINATOR and not needs.covers(actor, need):
        raise Forbidden(_("这条需求由{node_name}办理，评价也由它处理，您可以查看。", node_name=need.node_name))
    return rating, need


async def _completed(tx: Transaction, need: Need) -> Match:
    match = await matches.latest(tx, need.id)
    if match is not None and match.state is MatchState.COMPLETED:
        return match
    if need.state is NeedState.DELIVERED:
        raise InvalidTransition(_("请先确认结果，办结后就可以评价。"))
    if need.state in (NeedState.WITHDRAWN, NeedState.CLOSED):
        raise InvalidTransition(_("这条需求{state_name}，没有办结的服务可以评价。", state_name=need.state_name))
    raise InvalidTransition(_("服务办结后才能评价，这条需求现在是「{state_name}」。", state_name=need.state_name))


async def _expect_reply(tx: Transaction, need: Need, match_id: int, deadlines: Deadlines) -> None:
    """Give the institution its days to answer words.

    Not those of a bad rating, which its rectification answers; nor of an anonymous one, of which a due day would tell
    on which day it was given.
    """
    await limits.start(
        tx, need.id, limits.by_rule(deadlines, LimitKind.RATING_REPLY, need.region_code), match_id=match_id
    )


def _check_indicators(form: RatingForm, channel: Channel) -> None:
    known = {one.code for one in indicators(form.level, channel)}
    if not set(form.indicators) <= known:
        raise InvalidInput(fields={"indicators": _("所选的理由和评价等级对不上，请重新勾选，或不选。")})
    if len(set(form.indicators)) < len(form.indicators):
        raise InvalidInput(fields={"indicators": _("同一个理由只选一次。")})


def _check_role(actor: Actor, action: RatingAction) -> None:
    if actor.role not in RATING_ACTORS[action]:
        raise Forbidden


async def _move(tx: Transaction, rating: Rating, action: RatingAction, actor: Actor, note: str) -> None:
    after = next_rating_state(rating.state, action)
    await queries.move_rating(
        tx,
        rating.id,
        before=rating.state,
        action=action,
        after=after,
        actor_id=actor.named,
        note=note,
        later_remark=note if action is RatingAction.ADD_REMARK else None,
        reply=note if action is RatingAction.REPLY else None,
    )


async def _drop(tx: Transaction, rating: Rating, actor: Actor) -> None:
    """End the rectification of a rating that is withheld."""
    assert rating.rectification is not None
    await queries.move(
        tx,
        rating.id,
        before=rating.rectification,
        action=RectificationAction.DROP,
        after=next_state(rating.rectification, RectificationAction.DROP),
        actor_id=actor.id,
        note="",
        due_at=None,
        due_provisional=False,
    )
    assert rating.need_id is not None, "the rating is whole"
    await limits.end_all(tx, rating.need_id, done=False)
