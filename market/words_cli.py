"""``zhipei words``: the words that needs are understood by, and those an installation adds. Needs no database."""

from pathlib import Path

import click

from infra.settings import Settings
from market.catalogue.model import RIGHT_NAMES, STAGE_NAMES, ChainStage, RightKind
from market.data import language
from market.data.language import Language, LanguageError
from market.i18n import _
from market.terminal import Failure
from market.understand_cli import shipped_understander
from matching.text import normalise
from matching.types import Cue
from matching.understand import Understander


@click.group()
def words() -> None:
    """The words of the field that needs are understood by."""


@words.command()
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.pass_obj
def check(settings: Settings, folder: Path | None) -> None:
    """Say what is wrong in this installation's own files of words, by line; or count what they hold."""
    own = folder or settings.own_words
    _read(own)
    present = {name: read for name, read in language.OWN_FILES.items() if (own / name).is_file()}
    for name, read in present.items():
        click.echo(_("{file}：没有错误，共 {n} 项", file=own / name, n=len(read((own / name).read_bytes(), name))))
    if not present:
        click.echo(
            _(
                "{folder} 里没有自己的词。可以放 {files}，写法见 docs/data.md",
                folder=own,
                files=", ".join(language.OWN_FILES),
            )
        )


@words.command()
@click.argument("word", required=False)
@click.pass_obj
def show(settings: Settings, word: str | None) -> None:
    """List this installation's own words; or, of one WORD, what it tells and what means the same."""
    mine, shipped = _read(settings.own_words), language.load()
    if word is not None:
        lines = _about(mine, shipped, normalise(word))
        click.echo("\n".join(lines) or _("「{word}」不是已知的词。", word=word))
        return
    for cue in mine.words.cues:
        if cue not in shipped.words.cues:
            click.echo(_line(cue))
    for group in mine.words.synonyms:
        if group not in shipped.words.synonyms:
            click.echo(_("同义词：{words}", words=" = ".join(group)))
    for example in mine.examples[len(shipped.examples) :]:
        meant = ", ".join(example.items) or _("范围之外")
        click.echo(_("例句：{words} → {meant}", words=example.text, meant=meant))


@words.command("try")
@click.argument("text")
@click.pass_obj
def try_text(settings: Settings, text: str) -> None:
    """Understand a sentence with this installation's own words, and without."""
    _read(settings.own_words)
    mine, shipped = shipped_understander(settings.own_words), shipped_understander()
    evidence = mine.evidence(text)
    if evidence.mended != normalise(text):
        click.echo(_("改正错字：{words}", words=evidence.mended))
    if evidence.plain != evidence.mended:
        click.echo(_("换成通用说法：{words}", words=evidence.plain))
    for cue in dict.fromkeys(evidence.cues):
        click.echo(_line(cue))
    found, before = _result(mine, text), _result(shipped, text)
    click.echo(_("结果：{found}", found=found))
    if found != before:
        click.echo(_("没有自己的词时：{found}", found=before))


def _read(own: Path) -> Language:
    try:
        return language.load(own)
    except LanguageError as error:
        raise Failure(str(error)) from error


def _about(mine: Language, shipped: Language, word: str) -> list[str]:
    lines = [_line(cue) for cue in mine.words.cues if cue.word == word]
    if lines:
        own = not any(cue.word == word and cue in shipped.words.cues for cue in mine.words.cues)
        lines.append(_("来自：自己的 cues.json") if own else _("来自：自带的词"))
    return lines + [_("同义词：{words}", words=" = ".join(group)) for group in mine.words.synonyms if word in group]


def _line(cue: Cue) -> str:
    told = [RIGHT_NAMES[RightKind(right)] for right in cue.rights]
    told += [_("{stage}环节", stage=STAGE_NAMES[ChainStage(stage)]) for stage in cue.stages]
    told += [_("主题 {topic}", topic=topic) for topic in cue.topics]
    return _("，").join([_("词「{word}」：权重 {weight}", word=cue.word, weight=f"{cue.weight:g}"), *told])


def _result(understander: Understander, text: str) -> str:
    found = understander.understand(text)
    if found.outside_scope:
        return _("范围之外")
    return _("；").join(f"{item.name} {item.score:.0%}" for item in found.items[:3])
