"""What goes into matching and what comes out: plain values, ready to be stored as JSON."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt
from msgspec import Struct

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

Lang = Literal["zh", "en"]


class NeedView(Struct, frozen=True):
    """What ranking may know of a need (服务需求).

    `item_codes`, `rights` and `stages` are what a person confirmed; where they are empty, the text is understood
    instead. `territory` is the region of the node that ranks: it has the institutions there and below to offer.
    `audience` is the code of the enterprise's kind, `industry` the section letter of its industry (GB/T 4754).
    `days_left` are working days from today to the day the need is wanted by. `conflicts` are institutions that must
    not serve this need because they are the enterprise itself (same 统一社会信用代码); `declined_by` those that
    declined it before.
    """

    text: str
    region_code: str
    territory: str = "000000"
    item_codes: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    audience: str | None = None
    industry: str | None = None
    days_left: int | None = None
    conflicts: tuple[int, ...] = ()
    declined_by: tuple[int, ...] = ()


class Record(Struct, frozen=True):
    """What changes with every match of an offering: counts since the beginning, and the load now.

    `delivered` are finished matches, `on_time` those of them that kept their deadline. `rated` are ratings received,
    `rating_points` their sum, each from 0 (非常不满意) to 4 (非常满意).
    """

    capacity: int
    load: int = 0
    accepted: int = 0
    declined: int = 0
    delivered: int = 0
    on_time: int = 0
    rated: int = 0
    rating_points: int = 0


class OfferingView(Struct, frozen=True):
    """One published version of an offering (服务供给), with its record.

    `rights` empty: serves every kind of right. `audience` empty: open to everyone. `region_codes`: what it covers,
    each with all below it. `promised_days`: working days, None where no limit is promised.
    """

    offering_id: int
    version: int
    institution_id: int
    institution_region: str
    item_code: str
    title: str
    text: str
    region_codes: tuple[str, ...]
    record: Record
    rights: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    promised_days: float | None = None


class Part(Struct, frozen=True, gc=False):
    """One feature's share of a score.

    `value` in the feature's unit; `points` what it adds to the score, of at most `weight`; `evidence` the number of
    facts behind the value, 0 when it is unknown and counted as the feature's neutral value.
    """

    feature: str
    value: float
    weight: float
    points: float
    evidence: int


class Ranked(Struct, frozen=True):
    """One candidate. `rank` starts at 1; `score` is exactly the sum of the parts' points.

    `propensity` is the probability with which chance put it at this place, given those before it (see `explore`);
    0 for one that was passed over.
    """

    rank: int
    offering_id: int
    offering_version: int
    score: float
    parts: tuple[Part, ...]
    propensity: float = 1.0


class Exclusion(Struct, frozen=True):
    """An offering that may not be proposed, with the code of the first hard rule it breaks."""

    offering_id: int
    rule: str


class SecondOpinion(Struct, frozen=True):
    """How another model would have ranked for the same need; it has no influence on the list.

    `scores` of those ranked, then of those passed over. `propensity`: the probability with which it would have put
    first whom the list has first. `overlap`: the share of the list that would be on its own, of the same length.
    """

    model_version: str
    scores: tuple[float, ...]
    propensity: float
    overlap: float


class Ranking(Struct, frozen=True):
    """One ranking: the best candidates, best first; how many offerings were looked at; who was excluded and why.

    `passed_over`: a random few of the others that could have served, kept to learn from and shown to nobody.
    `second`: where a second model was asked and there are candidates.
    """

    model_version: str
    seed: int
    considered: int
    ranked: tuple[Ranked, ...]
    excluded: tuple[Exclusion, ...]
    passed_over: tuple[Ranked, ...] = ()
    second: SecondOpinion | None = None


class ItemText(Struct, frozen=True):
    """A service item as text: what `understand` learns from.

    `number` is the item's number in its source list; `text` its guide; `aliases` how users call it.
    `consultation`: takes any question on its rights, so it answers what no other item does.
    """

    number: int
    code: str
    name: str
    text: str = ""
    aliases: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    group: str = ""
    consultation: bool = False


class Cue(Struct, frozen=True):
    """A word of the field and what it tells: kinds of right, stages of the chain, topics (what it is about).

    `weight` −1..1: how surely a text with this word concerns intellectual property at all (专利 1, 抄袭 perhaps .6);
    below 0, how surely it does not (离婚 −.6).
    """

    word: str
    weight: float
    rights: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()


class ItemWeights(Struct, frozen=True, forbid_unknown_fields=True):
    """What each sign that an item is meant adds to its log-odds; matching/evidence.py says what each sign is."""

    votes: float
    says: float
    covered: float
    shared: float
    unmet: float
    other_right: float
    breadth: float
    consultation: float


class ScopeWeights(Struct, frozen=True, forbid_unknown_fields=True):
    """What each sign that a text concerns intellectual property adds to the log-odds of that."""

    bias: float
    field: float
    everyday: float
    covered: float
    votes: float
    strange: float


class Weights(Struct, frozen=True, forbid_unknown_fields=True):
    """Of understanding, as fitted; `threshold`: a text of a lower probability is outside scope."""

    item: ItemWeights
    scope: ScopeWeights
    threshold: float


class Lexicon(Struct, frozen=True):
    """The language of the field: its words, how characters sound (toneless pinyin), and what the signs weigh."""

    cues: tuple[Cue, ...]
    sounds: dict[str, str]
    weights: Weights


class PastNeed(Struct, frozen=True):
    """A need of which a person confirmed the item, or that it is outside the platform's scope (None)."""

    text: str
    item_code: str | None


class PastService(Struct, frozen=True):
    """A need that an institution completed; `industry` of the enterprise as in `NeedView`."""

    text: str
    institution_id: int
    industry: str | None = None


class UnderstoodItem(Struct, frozen=True):
    """A service item that may answer a need; `score` 0..1."""

    number: int
    code: str
    name: str
    score: float


Gap = Literal["what", "right", "by_when", "contact", "goal"]


class Understanding(Struct, frozen=True):
    """What a plain sentence was understood to ask for.

    `items`: at most five, best first; empty when `outside_scope`. `missing`: what the text does not tell yet.
    """

    items: tuple[UnderstoodItem, ...]
    rights: tuple[str, ...]
    stages: tuple[str, ...]
    outside_scope: bool
    missing: tuple[Gap, ...]


class Reading(Struct, frozen=True):
    """One text, read once: what was understood, and how likely each item of the catalogue answers it, by item code.

    `scores` sum to 1 over the catalogue, whether or not the text is within scope. `groups`: the group of each item.
    """

    understanding: Understanding
    scores: Mapping[str, float]
    groups: Mapping[str, str]
