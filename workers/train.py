"""Learning from what was decided and measuring what ranks, every night."""

import asyncio
import os
import sys
from typing import Any

import structlog

from workers.context import Context

SECONDS = 3600
"""After which a training that has not ended is stopped."""

log = structlog.get_logger()


async def train_nightly(ctx: dict[str, Any]) -> None:
    """``zhipei train`` in a process of its own: it may take minutes of one core, and ranking goes on meanwhile."""
    context: Context = ctx["context"]
    settings = context.settings
    climbing = ["--climb"] if settings.promote_nightly else []
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "market.cli", "train", *climbing),
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "ZHIPEI_DATABASE_URL": str(settings.database_url),
            "ZHIPEI_REDIS_URL": str(settings.redis_url),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    say = log.info if process.returncode == 0 else log.error
    say("trained", code=process.returncode, told=told.decode(errors="replace"))
