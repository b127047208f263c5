"""The worker process: an arq worker with the relay beside it. ``python -m workers.main`` runs it."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta, timezone
from typing import Any

import msgspec
import structlog
from arq import Worker, cron, func
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool

from infra import idempotency, outbox
from infra.cipher import keys_of
from infra.db import Database
from infra.embedded import with_urls
from infra.observe import bind_request, configure_logs
from infra.settings import Settings, load
from market.deadlines.service import LAPSE
from market.discovery.engines import open_engine, open_writer
from market.discovery.indexing import Indexer
from market.discovery.service import Finder
from market.matches.ranking import CatalogueSource
from market.messages.model import Channel
from market.queue.holding import SEND_HELD
from search.breaker import Breaker
from workers.audit import chain_audit, forget_audit
from workers.context import Context
from workers.deadlines import KEEPING_SECONDS, keep_time, lapse_match
from workers.held import send_held
from workers.index import ask_for_rebuilds
from workers.ledger import SECONDS as LEDGER_SECONDS
from workers.ledger import ledger_nightly
from workers.lists import lists_take_effect
from workers.match import match_need
from workers.notify import Postman, Teller, forget_messages, make_digests
from workers.personal import SECONDS as PERSONAL_SECONDS
from workers.personal import erase_asked, forget_contacts, seal_clear
from workers.plan import make_plan
from workers.relay import JOB, Relay
from workers.running import LastingWorker
from workers.train import SECONDS, train_nightly

JOBS: Mapping[str, Callable[..., Awaitable[None]]] = {
    "match_need": match_need,
    "make_plan": make_plan,
    LAPSE: lapse_match,
    SEND_HELD: send_held,
}
"""Topic of the outbox → job."""
IDEMPOTENCY_HOURS = 24
CHAINING_SECONDS = 300
FINISH_SECONDS = 8
"""How long jobs that run may go on after a stop signal; the rest is sent again when its lease has run out."""
BEIJING = timezone(timedelta(hours=8))
"""Of the clock that cron jobs go by, wherever the server stands."""

log = structlog.get_logger()


async def run_outbox_row(ctx: dict[str, Any], raw: dict[str, Any]) -> None:
    """Do what an outbox row asks for. A failure is noted on the row, which is sent again after a while."""
    row = msgspec.convert(raw, outbox.Row)
    context: Context = ctx["context"]
    bind_request(row.request_id, outbox_id=row.id, attempt=row.attempt, topic=row.topic)
    try:
        await JOBS[row.topic](context, row, **row.payload)
    except outbox.LeaseLost:
        log.info("another attempt has the lease")
    except Exception as error:
        log.exception("job failed")
        async with context.db.transaction() as tx:
            await outbox.fail(tx, row.id, row.attempt, f"{type(error).__name__}: {error.args[0] if error.args else ''}")
    finally:
        ctx["relay"].wake()


async def forget_answers(ctx: dict[str, Any]) -> None:
    """Drop idempotency keys nobody will repeat any more."""
    context: Context = ctx["context"]
    async with context.db.transaction() as tx:
        log.info("idempotency keys forgotten", count=await idempotency.forget(tx, IDEMPOTENCY_HOURS))


async def start(ctx: dict[str, Any]) -> None:
    """arq's on_startup: connect, and set the relay going."""
    settings: Settings = ctx["settings"]
    database = open_database(settings)
    ctx["engine"] = open_engine(settings, inspect=True)
    source = CatalogueSource(settings.own_words, Finder(ctx["engine"], Breaker()))
    ctx["context"] = Context(settings, database, source)
    ctx["relay"] = Relay(settings, database, ctx["redis"])
    ctx["relaying"] = asyncio.create_task(ctx["relay"].run())
    indexer = Indexer(database, ctx["engine"], lambda: open_writer(settings))
    ctx["indexing"] = asyncio.create_task(indexer.run())
    # Without a mail server letters are not written; what waits for one goes when there is one again.
    channels = [Channel.WEBHOOK, *([Channel.MAIL] if settings.smtp_url else [])]
    postmen = [Postman(settings, database, channel).run() for channel in channels]
    ctx["telling"] = asyncio.gather(Teller(settings, database).run(), *postmen)
    log.info("worker started")


async def stop(ctx: dict[str, Any]) -> None:
    """arq's on_shutdown."""
    beside = (ctx["relaying"], ctx["indexing"], ctx["telling"])
    for running in beside:
        running.cancel()
    await asyncio.gather(*beside, return_exceptions=True)
    await ctx["engine"].aclose()
    await ctx["context"].db.close()


def open_database(settings: Settings) -> Database:
    """The worker's connections."""
    assert settings.database_url is not None
    return Database(
        settings.database_url,
        size=settings.job_concurrency + 4,
        wait=settings.db_wait_seconds,
        statement_timeout_ms=settings.statement_timeout_ms,
        lock_timeout_ms=settings.lock_timeout_ms,
        name="worker",
        keys=keys_of(settings),
    )


def make_worker(settings: Settings, **options: Any) -> Worker:
    """An arq worker on the settings' servers; ``options`` go to arq."""
    assert settings.redis_url is not None
    coding: dict[str, Any] = {"job_serializer": msgspec.msgpack.encode, "job_deserializer": msgspec.msgpack.decode}
    # With a limit to every call: a Redis that no longer answers, its connections open, would hold the worker for good.
    pool = ConnectionPool.from_url(settings.redis_url, socket_timeout=5, socket_connect_timeout=2)
    return LastingWorker(
        functions=[func(run_outbox_row, name=JOB)],
        cron_jobs=[
            cron(forget_answers, name=f"{settings.namespace}:forget_answers", minute=17),
            cron(chain_audit, name=f"{settings.namespace}:chain_audit", second={5, 25, 45}, timeout=CHAINING_SECONDS),
            cron(forget_audit, name=f"{settings.namespace}:forget_audit", hour=4, minute=10, timeout=CHAINING_SECONDS),
            cron(ask_for_rebuilds, name=f"{settings.namespace}:rebuild", hour=3, minute=30),
            # At one minute past every hour, and at the start: after an outage lists catch up.
            cron(lists_take_effect, name=f"{settings.namespace}:lists", minute=1, run_at_startup=True),
            cron(
                keep_time,
                name=f"{settings.namespace}:keep_time",
                second=0,
                run_at_startup=True,
                timeout=KEEPING_SECONDS,
            ),
            cron(ledger_nightly, name=f"{settings.namespace}:ledger", hour=1, minute=30, timeout=LEDGER_SECONDS),
            cron(make_digests, name=f"{settings.namespace}:digests", minute=set(range(1, 60, 10))),
            cron(forget_messages, name=f"{settings.namespace}:forget_messages", hour=4, minute=10, timeout=600),
            cron(
                seal_clear,
                name=f"{settings.namespace}:seal_clear",
                hour=4,
                minute=20,
                run_at_startup=True,
                timeout=PERSONAL_SECONDS,
            ),
            cron(erase_asked, name=f"{settings.namespace}:erase_asked", minute=23, timeout=PERSONAL_SECONDS),
            cron(
                forget_contacts,
                name=f"{settings.namespace}:forget_contacts",
                hour=4,
                minute=40,
                timeout=PERSONAL_SECONDS,
            ),
            # Named after the database: arq runs a job of one name once, also where two share a Redis.
            cron(train_nightly, name=f"{settings.namespace}:train", hour=2, minute=30, timeout=SECONDS),
        ],
        redis_pool=ArqRedis(pool, default_queue_name=settings.namespace, **coding),
        on_startup=start,
        on_shutdown=stop,
        ctx={"settings": settings},
        queue_name=settings.namespace,
        timezone=BEIJING,
        max_jobs=settings.job_concurrency,
        poll_delay=settings.job_poll_seconds,
        keep_result=0,
        max_tries=1,  # the outbox tries again, not arq
        job_timeout=60,
        job_completion_wait=FINISH_SECONDS,
        **coding,
        **options,
    )


def main() -> None:
    """Run until a signal says stop."""
    os.environ["OMP_NUM_THREADS"] = "1"  # two threads under contention were twenty times slower
    settings = with_urls(load(os.environ))
    configure_logs(settings.log_level, as_json=settings.log_json)
    make_worker(settings).run()


if __name__ == "__main__":
    main()
