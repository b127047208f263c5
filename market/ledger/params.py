"""What the API's routes and the pages share: who may read, and ledgers as downloads."""

from litestar import Response
from msgspec.structs import replace

from infra.db import Transaction
from market.accounts.model import Actor, Role
from market.auth import allow
from market.i18n import _
from market.ledger import exporting, service
from market.ledger.exporting import Form
from market.ledger.model import Sort, ordered
from market.ledger.periods import Period
from market.supervision import service as supervision
from market.supervision.model import RULE_NAMES, SupervisionRule

STAFF = [allow(Role.COORDINATOR, Role.ADMIN)]
READERS = [allow(Role.INSTITUTION, Role.COORDINATOR, Role.ADMIN)]


async def institution_file(
    tx: Transaction, actor: Actor, institution_id: int, one: Period, form: Form
) -> Response[bytes]:
    """An institution's ledger as a download."""
    ledger = await service.read(tx, actor, institution_id, one)
    flags = await supervision.flags_of(tx, actor, institution_id)
    words = [_("{rule}：{figures}", rule=flag.name, figures=flag.words) for flag in flags]
    content = await exporting.of_institution(ledger, one, words, form)
    return _download(content, form, exporting.file_name(one, form, institution_id))


async def list_file(tx: Transaction, actor: Actor, one: Period, form: Form) -> Response[bytes]:
    """The list of ledgers as a download."""
    lines = await supervision.with_flags(tx, await service.listing(tx, actor, one))
    told = [replace(line, flags=tuple(RULE_NAMES[SupervisionRule(rule)] for rule in line.flags)) for line in lines]
    content = await exporting.of_list(ordered(told, Sort.OFFERED), one, form)
    return _download(content, form, exporting.file_name(one, form))


def _download(content: bytes, form: Form, name: str) -> Response[bytes]:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
    return Response(content, media_type=exporting.MEDIA_TYPES[form], headers=headers)
