"""``zhipei words``: the words that needs are understood by, and those an installation adds. Needs no database."""

from pathlib import Path

import click

from infra.settings import Settings
from market.catalogue.model import RIGHT_NAMES, STAGE_NAMES, ChainStage, RightKind
from market.data import language
from market.data.language import Language, LanguageError
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
        click.echo(f"{own / name}：没有错误，共 {len(read((own / name).read_bytes(), name))} 项")
    if not present:
        click.echo(f"{own} 里没有自己的词。可以放 {'、'.join(language.OWN_FILES)}，写法见 docs/data.md")


@words.command()
@click.argument("word", required=False)
@click.pass_obj
def show(settings: Settings, word: str | None) -> None:
    """List this installation's own words; or, of one WORD, what it tells and what means the same."""
    mine, shipped = _read(settings.own_words), language.load()
    if word is not None:
        lines = _about(mine, shipped, normalise(word))
        click.echo("\n".join(lines) or f"「{word}」不是已知的词。")
        return
    for cue in mine.words.cues:
        if cue not in shipped.words.cues:
            click.echo(_line(cue))
    for group in mine.words.synonyms:
        if group not in shipped.words.synonyms:
            click.echo(f"同义词：{' = '.join(group)}")
    for example in mine.examples[len(shipped.examples) :]:
        click.echo(f"例句：{example.text} → {'、'.join(example.items) or '范围之外'}")


@words.command("try")
@click.argument("text")
@click.pass_obj
def try_text(settings: Settings, text: str) -> None:
    """Understand a sentence with this installation's own words, and without."""
    _read(settings.own_words)
    mine, shipped = shipped_understander(settings.own_words), shipped_understander()
    evidence = mine.evidence(text)
    if evidence.mended != normalise(text):
        click.echo(f"改正错字：{evidence.mended}")
    if evidence.plain != evidence.mended:
        click.echo(f"换成通用说法：{evidence.plain}")
    for cue in dict.fromkeys(evidence.cues):
        click.echo(_line(cue))
    found, before = _result(mine, text), _result(shipped, text)
    click.echo(f"结果：{found}")
    if found != before:
        click.echo(f"没有自己的词时：{before}")


def _read(own: Path) -> Language:
    try:
        return language.load(own)
    except LanguageError as error:
        raise Failure(str(error)) from error


def _about(mine: Language, shipped: Language, word: str) -> list[str]:
    lines = [_line(cue) for cue in mine.words.cues if cue.word == word]
    if lines:
        own = not any(cue.word == word and cue in shipped.words.cues for cue in mine.words.cues)
        lines.append("来自：自己的 cues.json" if own else "来自：自带的词")
    return lines + [f"同义词：{' = '.join(group)}" for group in mine.words.synonyms if word in group]


def _line(cue: Cue) -> str:
    told = [RIGHT_NAMES[RightKind(right)] for right in cue.rights]
    told += [f"{STAGE_NAMES[ChainStage(stage)]}环节" for stage in cue.stages]
    told += [f"主题 {topic}" for topic in cue.topics]
    return "，".join([f"词「{cue.word}」：权重 {cue.weight:g}", *told])


def _result(understander: Understander, text: str) -> str:
    found = understander.understand(text)
    if found.outside_scope:
        return "范围之外"
    return "；".join(f"{item.name} {item.score:.0%}" for item in found.items[:3])
