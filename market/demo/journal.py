"""What happens in the demo's history, written down as the product writes it: state, version, counters, event."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from market.demo.needs import Wish
from market.demo.rows import (
    CandidateRow,
    Client,
    EventRow,
    History,
    MatchRow,
    NeedRow,
    Node,
    Provider,
    RatingRow,
    RunRow,
)
from market.matches.model import HOLDING, MatchState
from market.matches.model import TRANSITIONS as MATCH_TRANSITIONS
from market.matches.model import MatchAction as M
from market.needs.model import TRANSITIONS as NEED_TRANSITIONS
from market.needs.model import NeedAction as N
from market.ratings.model import RATING_TRANSITIONS, RatingAction, RatingState, RectificationAction, RectificationState
from market.ratings.model import TRANSITIONS as RECTIFICATION_TRANSITIONS
from matching.types import Exclusion, Ranking


class Life(Struct, kw_only=True):
    """One need on its way: what is on record, and what only the story knows."""

    need: NeedRow
    client: Client
    wish: Wish
    wanted: str | None
    """Code of the item that would answer it."""
    node: Node
    filer: int
    run_id: int = 0
    ranking: Ranking | None = None
    match: MatchRow | None = None
    declined_by: tuple[int, ...] = ()
    returned: bool = False


class Journal:
    """Writes ``history``; ``at`` is the moment it is now."""

    def __init__(self, providers: Mapping[int, Provider], at: datetime) -> None:
        self.at = at
        self.history = History([], [], [], [], [], [])
        self._providers = providers

    def make_match(self, life: Life, provider: Provider, action: M, actor: int | None, note: str) -> None:
        """A new match of the need's newest run, proposed or assigned at once."""
        match = MatchRow(
            id=len(self.history.matches),
            need_id=life.need.id,
            run_id=life.run_id,
            first_state=MATCH_TRANSITIONS[MatchState.NEW, action],
            offering_id=provider.id,
            offering_version=provider.version,
            item_code=provider.item_code,
            item_version=provider.item_version,
            institution_id=provider.institution_id,
            institution_version=provider.institution_version,
            created_at=self.at,
        )
        self.history.matches.append(match)
        life.match = match
        self.advance(life, action, actor, note=note)

    def end(self, life: Life, action: N, actor: int, note: str, **data: Any) -> None:
        """A decision that ends the live match, if there is one."""
        self.move(life, action, actor, note, **data)
        if life.match is not None:
            self.advance(life, M.CANCEL if action in (N.CLOSE, N.WITHDRAW) else M.SUPERSEDE, actor)
            life.match = None

    def move(self, life: Life, action: N, actor: int | None, note: str = "", **data: Any) -> None:
        """Move the need; the first coordinator to do so owns it."""
        need = life.need
        before, after = need.state, NEED_TRANSITIONS[need.state, action]
        if actor in life.node.coordinators and need.owner_id is None:
            need.owner_id = actor
        need.state, need.version = after, need.version + 1
        self._event(need.id, None, "need", before, action, after, actor, note, data)

    def advance(self, life: Life, action: M, actor: int | None, *, note: str = "", **data: Any) -> None:
        """Move the live match, and count it as the trigger matches_count does."""
        match = life.match
        assert match is not None
        before, after = match.state, MATCH_TRANSITIONS[match.state, action]
        match.state = after
        _count(self._providers[match.offering_id], before, after, on_time=match.delivered_on_time)
        self._event(match.need_id, match.id, "match", before, action, after, actor, note, data)

    def rate(self, life: Life, rating: RatingRow) -> RatingRow:
        """The rating of the match that ended the need."""
        self.history.ratings.append(rating)
        said = {"level": rating.level, "anonymous": rating.anonymous}
        self.judge(life, rating, RatingAction.RATE, rating.rated_by, rating.remark, **said)
        return rating

    def judge(self, life: Life, rating: RatingRow, action: RatingAction, actor: int, note: str, **data: Any) -> None:
        """Move a rating, and count it as the trigger ratings_count does."""
        before, after = rating.state, RATING_TRANSITIONS[rating.state, action]
        rating.state = after
        counted = (after is not RatingState.WITHHELD) - (before not in (RatingState.NEW, RatingState.WITHHELD))
        provider = self._providers[rating.offering_id]
        provider.rated += counted
        provider.rating_points += counted * (rating.level - 1)
        self._event(life.need.id, rating.match_id, "rating", before, action, after, actor, note, data)

    def open_rectification(self, life: Life, rating: RatingRow, due_at: datetime, *, provisional: bool) -> None:
        """The rectification of a bad rating."""
        rating.due_at, rating.due_provisional = due_at, provisional
        self.step(life, rating, RectificationAction.OPEN, rating.rated_by)

    def step(
        self, life: Life, rating: RatingRow, action: RectificationAction, actor: int, note: str = ""
    ) -> RectificationState:
        """Move a rectification; where it stands now."""
        before, after = rating.rectification, RECTIFICATION_TRANSITIONS[rating.rectification, action]
        rating.rectification = after
        self._event(life.need.id, rating.match_id, "rectification", before, action, after, actor, note, {})
        return after

    def _event(
        self,
        need_id: int,
        match_id: int | None,
        machine: str,
        before: str,
        action: str,
        after: str,
        actor: int | None,
        note: str,
        data: dict[str, Any],
    ) -> None:
        self.history.events.append(
            EventRow(
                need_id=need_id,
                match_id=match_id,
                machine=machine,
                from_state=before,
                action=action,
                to_state=after,
                actor_id=actor,
                note=note,
                data=data,
                at=self.at,
            )
        )

    def store_run(self, life: Life, ranking: Ranking, excluded: list[Exclusion]) -> None:
        """The need's newest run with its candidates, and those of the offerings left out that are of interest."""
        need = life.need
        life.run_id = len(self.history.runs)
        self.history.runs.append(
            RunRow(
                id=life.run_id,
                need_id=need.id,
                need_version=need.version,
                node_id=life.node.id,
                model_version=ranking.model_version,
                seed=ranking.seed,
                considered=ranking.considered,
                excluded=excluded,
                excluded_counts=dict(Counter(e.rule for e in ranking.excluded)),
                created_at=self.at,
            )
        )
        self.history.candidates.extend(
            CandidateRow(
                run_id=life.run_id,
                rank=one.rank,
                offering_id=one.offering_id,
                offering_version=one.offering_version,
                score=one.score,
                parts=one.parts,
                propensity=one.propensity,
                shown=place < len(ranking.ranked),
            )
            for place, one in enumerate((*ranking.ranked, *ranking.passed_over))
        )


def _count(provider: Provider, before: MatchState, after: MatchState, *, on_time: bool) -> None:
    held, holds = before in HOLDING, after in HOLDING
    provider.load += holds - held
    provider.accepted += after is MatchState.ACCEPTED and held
    provider.declined += after is MatchState.DECLINED
    provider.delivered += after is MatchState.COMPLETED
    provider.on_time += after is MatchState.COMPLETED and on_time
