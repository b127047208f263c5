"""The state machines of need and match, walked state by action."""

from itertools import product
from typing import Any

import pytest

from market.accounts.model import Role
from market.deadlines import model as deadlines
from market.errors import InvalidTransition
from market.lists import model as lists
from market.matches import model as matches
from market.needs import model as needs
from market.ratings import model as ratings
from market.supervision import model as supervision
from market.supervision.model import SupervisionAction


@pytest.mark.parametrize(("state", "action"), list(product(needs.NeedState, needs.NeedAction)))
def test_every_state_and_action_of_a_need(state: needs.NeedState, action: needs.NeedAction) -> None:
    if (state, action) in needs.TRANSITIONS:
        assert needs.next_state(state, action) is needs.TRANSITIONS[state, action]
        assert state not in needs.ENDED
    else:
        with pytest.raises(InvalidTransition) as told:
            needs.next_state(state, action)
        assert needs.STATE_NAMES[state] in str(told.value)


@pytest.mark.parametrize(("state", "action"), list(product(matches.MatchState, matches.MatchAction)))
def test_every_state_and_action_of_a_match(state: matches.MatchState, action: matches.MatchAction) -> None:
    if (state, action) in matches.TRANSITIONS:
        assert matches.next_state(state, action) is matches.TRANSITIONS[state, action]
    else:
        with pytest.raises(InvalidTransition) as told:
            matches.next_state(state, action)
        assert matches.STATE_NAMES[state] in str(told.value)


@pytest.mark.parametrize(("state", "action"), list(product(ratings.RatingState, ratings.RatingAction)))
def test_every_state_and_action_of_a_rating(state: ratings.RatingState, action: ratings.RatingAction) -> None:
    if (state, action) in ratings.RATING_TRANSITIONS:
        assert ratings.next_rating_state(state, action) is ratings.RATING_TRANSITIONS[state, action]
    else:
        with pytest.raises(InvalidTransition) as told:
            ratings.next_rating_state(state, action)
        assert ratings.RATING_STATE_NAMES[state] in str(told.value)


def test_a_rating_is_never_silenced_without_a_report_nor_ruled_on_twice() -> None:
    leads_there = {before for (before, _), after in ratings.RATING_TRANSITIONS.items() if after == "withheld"}
    assert leads_there == {ratings.RatingState.REPORTED}
    reported = [before for before, action in ratings.RATING_TRANSITIONS if action is ratings.RatingAction.REPORT]
    assert reported == [ratings.RatingState.PUBLISHED]


@pytest.mark.parametrize(("state", "action"), list(product(lists.RevisionState, lists.RevisionAction)))
def test_every_state_and_action_of_a_revision(state: lists.RevisionState, action: lists.RevisionAction) -> None:
    if (state, action) in lists.TRANSITIONS:
        assert lists.next_state(state, action) is lists.TRANSITIONS[state, action]
        assert lists.ACTION_NAMES[action]
    else:
        with pytest.raises(InvalidTransition) as told:
            lists.next_state(state, action)
        assert lists.STATE_NAMES[state] in str(told.value)


@pytest.mark.parametrize(
    ("state", "action"), list(product(supervision.SupervisionState, supervision.SupervisionAction))
)
def test_every_state_and_action_of_a_supervision(
    state: supervision.SupervisionState, action: supervision.SupervisionAction
) -> None:
    if (state, action) in supervision.TRANSITIONS:
        assert supervision.next_state(state, action) is supervision.TRANSITIONS[state, action]
    else:
        with pytest.raises(InvalidTransition) as told:
            supervision.next_state(state, action)
        assert supervision.STATE_NAMES[state] in str(told.value)


def test_every_state_is_reached_and_every_live_one_left() -> None:
    machines: tuple[tuple[Any, frozenset[str] | set[Any]], ...] = (
        (needs, needs.ENDED),
        (matches, set(matches.MatchState) - matches.LIVE),
        (lists, set(lists.RevisionState) - lists.OPEN),
        (ratings, frozenset({"closed"})),
        (supervision, frozenset({"closed"})),
        (deadlines, set(deadlines.DeadlineState) - deadlines.LIVE),
    )
    for machine, ended in machines:
        reached = set(machine.TRANSITIONS.values())
        states = {state for state in machine.STATE_NAMES if state != "new"}
        assert reached == states
        left = {before for before, _ in machine.TRANSITIONS if before != "new"}
        assert left == states - ended


def test_every_action_has_actors_and_words() -> None:
    assert set(needs.ACTORS) == set(needs.NeedAction) == set(needs.ACTION_NAMES)
    assert set(matches.ACTION_NAMES) == set(matches.MatchAction)
    assert set(deadlines.ACTION_NAMES) == set(deadlines.DeadlineAction)
    assert set(supervision.ACTORS) == set(SupervisionAction) == set(supervision.ACTION_NAMES)
    assert set(deadlines.KIND_NAMES) == set(deadlines.LimitKind)
    assert set(ratings.ACTORS) == set(ratings.RectificationAction) == set(ratings.ACTION_NAMES)
    assert set(ratings.RATING_ACTORS) == set(ratings.RatingAction) == set(ratings.RATING_ACTION_NAMES)
    assert not any(Role.ADMIN in roles for roles in (*ratings.ACTORS.values(), *ratings.RATING_ACTORS.values()))
    assert not any(Role.ADMIN in roles for roles in needs.ACTORS.values()), "an admin runs the system, not needs"


def test_only_an_approved_match_is_seen_by_its_institution() -> None:
    assert matches.HOLDING < matches.LIVE
    assert matches.MatchState.PROPOSED not in matches.HOLDING
