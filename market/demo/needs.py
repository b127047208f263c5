"""What the demo's enterprises ask for: texts in a plain person's words, with the item that answers each."""

from importlib.resources import files
from random import Random

import msgspec
from msgspec import Struct

from market.demo.people import Enterprise


class Words(Struct, frozen=True):
    """Sentences of the history, most with places to fill in."""

    weights: dict[int, int]
    texts: dict[int, tuple[str, ...]]
    tails: tuple[str, ...]
    vague: dict[str, tuple[str, ...]]
    """By a word of the full text; the empty word is in every text, and last."""
    outside: tuple[str, ...]
    supplements: tuple[str, ...]
    partners: tuple[str, ...]
    countries: tuple[str, ...]
    whens: tuple[str, ...]
    numbers: tuple[str, ...]
    decline: tuple[str, ...]
    grant: tuple[str, ...]
    refuse: tuple[str, ...]
    override: dict[str, str]
    unmatched: str
    escalate: tuple[str, ...]
    close_outside: str
    close_unserved: str
    withdraw: tuple[str, ...]
    rework: tuple[str, ...]
    rework_result: str
    returned: str
    gap_words: dict[str, str]


class Wish(Struct, frozen=True):
    """What somebody wants; ``item`` is None outside of intellectual property. ``vague``: what is written at first."""

    text: str
    item: int | None
    vague: str | None


def load_words() -> Words:
    """The sentences."""
    return msgspec.json.decode(files(__package__).joinpath("needs.json").read_bytes(), type=Words)


def wish(rng: Random, words: Words, who: Enterprise, kind_name: str) -> Wish:
    """Something this enterprise might ask for."""

    def fill(template: str) -> str:
        return template.format(
            product=who.product,
            brand=who.brand,
            place=who.place,
            contact=f"{who.contact_name[0]}经理",
            kind=kind_name,
            partner=rng.choice(words.partners),
            country=rng.choice(words.countries),
            when=rng.choice(words.whens),
            n=rng.choice(words.numbers),
        )

    chance = rng.random()
    if chance < 0.025:
        return Wish(fill(rng.choice(words.outside)), None, None)
    (item,) = rng.choices(list(words.weights), list(words.weights.values()))
    text = fill(rng.choice(words.texts[item]))
    if rng.random() < 0.6:
        text += fill(rng.choice(words.tails))
    vague = next(vague for word, vague in words.vague.items() if word in text)
    return Wish(text, item, rng.choice(vague) if chance < 0.085 else None)
