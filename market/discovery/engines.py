"""Which search engine serves: Meilisearch where the settings name a server, else the embedded one."""

from infra.settings import Settings
from market.data import language
from search.embedded import EmbeddedEngine, EmbeddedWriter
from search.engine import Engine, Writer
from search.settings import Language

FOLDER = "search"
"""Of the embedded indexes, in the data folder. Whoever deletes it has it built anew."""


def known_language(settings: Settings) -> Language:
    """Sounds, and the synonyms that understanding reads too, an installation's own among them, as they are now."""
    source = language.LanguageSource(settings.own_words)
    return Language(sounds=language.load_search_sounds(), synonyms=lambda: source.get().alike)


def open_engine(settings: Settings, *, inspect: bool = False) -> Engine:
    """To search with: any number of processes. ``inspect``: for stats and digests too, which take the admin key."""
    if settings.meili_url:
        from search.meilisearch import MeilisearchEngine  # noqa: PLC0415  its client is half a second of every start

        keys = (settings.meili_search_key, settings.meili_key)
        key = next(filter(None, reversed(keys) if inspect else keys), "")
        return MeilisearchEngine(settings.meili_url, key, known_language(settings))
    return EmbeddedEngine(settings.data_dir / FOLDER, known_language(settings))


def open_writer(settings: Settings) -> Writer:
    """To index with: one at a time.

    Raises:
        Unavailable: another process has the embedded indexes open for writing.
    """
    if settings.meili_url:
        from search.meilisearch import MeilisearchWriter  # noqa: PLC0415

        return MeilisearchWriter(settings.meili_url, settings.meili_key or "", known_language(settings))
    return EmbeddedWriter(settings.data_dir / FOLDER, known_language(settings))


async def set_up(settings: Settings) -> str:
    """Build nothing, but make sure of the Meilisearch key that may only search; the key.

    Raises:
        WrongKey: ZHIPEI_MEILI_KEY may not manage keys. EngineUnavailable: the server does not answer.
    """
    from search.meilisearch import search_key  # noqa: PLC0415

    assert settings.meili_url is not None
    return await search_key(settings.meili_url, settings.meili_key or "")
