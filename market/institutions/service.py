"""Use cases of institutions."""

from msgspec import structs

from infra.db import Transaction
from market.enterprises import uscc
from market.errors import InvalidInput, NotFound
from market.i18n import _
from market.institutions import queries
from market.institutions.model import Institution, InstitutionForm
from market.regions import queries as regions


async def find(tx: Transaction, institution_id: int) -> Institution:
    """The institution in its current version.

    Raises:
        NotFound: there is none.
    """
    institution = await queries.by_id(tx, institution_id)
    if institution is None:
        raise NotFound
    return institution


async def save(tx: Transaction, form: InstitutionForm, *, demo: bool = False) -> int:
    """Store an institution, or a new version of the one with its code if anything differs; its id.

    Raises:
        InvalidInput: by field: the code, the kind, the region.
    """
    fields = uscc.problem(form.uscc)
    if form.kind not in await queries.kinds(tx):
        fields["kind"] = _("没有这种机构类型，请从列表中选择。")
    if await regions.region(tx, form.region_code) is None:
        fields["region_code"] = _("没有这个地区，请从列表中选择。")
    if fields:
        raise InvalidInput(fields=fields)
    code = uscc.validate(form.uscc)
    form = structs.replace(form, uscc=code)
    known = await queries.by_uscc(tx, code)
    if known and all(getattr(known, f) == getattr(form, f) for f in form.__struct_fields__):
        return known.id
    return await queries.add_version(tx, form, demo=demo)
