"""A feature by its name, unit and direction, and how its values are said."""

from typing import Literal

from msgspec import Struct

from matching.columns import ColumnOf, promised_days
from matching.types import Lang


class Wording(Struct, frozen=True):
    """How to say a value of at least `at_least`. May use the places that `Feature.sentence` fills."""

    at_least: float
    zh: str
    en: str


class Feature(Struct, frozen=True):
    """One column. Values lie between `worst` and `best`; `wordings` ascend, the last that applies is used.

    `unknown` is said where there is no evidence; None for a feature that is always known.
    """

    name: str
    unit: str
    worst: float
    best: float
    zh: str
    en: str
    wordings: tuple[Wording, ...]
    unknown: Wording | None
    column: ColumnOf

    @property
    def direction(self) -> Literal[-1, 1]:
        """+1 where more is better, −1 where less is."""
        return 1 if self.best > self.worst else -1

    def sentence(self, value: float, evidence: int, lang: Lang) -> str:
        """The value in words, for a coordinator."""
        if evidence == 0 and self.unknown is not None:
            wording = self.unknown
        else:
            wording = [w for w in self.wordings if value >= w.at_least][-1]
        template = wording.zh if lang == "zh" else wording.en
        if "{" not in template:
            return template
        return template.format(
            percent=round(100 * value),
            count=evidence,
            share=round(value * evidence),
            steps=abs(round(value)),
            times=round(value, 1),
            days=round(float(promised_days(value))),
        )
