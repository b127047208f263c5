"""The peer's tables, mapped for SQLAlchemy."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Text, func
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """The tables of infra/schema.sql, as far as the two endpoints touch them."""

    type_annotation_map = {  # noqa: RUF012 - as SQLAlchemy wants it
        int: BigInteger,
        str: Text,
        datetime: DateTime(timezone=True),
        list[str]: ARRAY(Text),
        dict[str, Any]: JSONB,
    }


class Node(Base):
    __tablename__ = "nodes"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    region_code: Mapped[str]
    region_prefix: Mapped[str]


class Region(Base):
    __tablename__ = "regions"
    code: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]


class Enterprise(Base):
    __tablename__ = "enterprises"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    region_code: Mapped[str]
    contact_name: Mapped[str]
    contact_phone: Mapped[str]


class Account(Base):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    role: Mapped[str]
    enterprise_id: Mapped[int | None] = mapped_column(ForeignKey("enterprises.id"))
    disabled_at: Mapped[datetime | None]
    enterprise: Mapped[Enterprise | None] = relationship()


class ApiToken(Base):
    __tablename__ = "api_tokens"
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    token_hash: Mapped[bytes]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class Need(Base):
    __tablename__ = "needs"
    id: Mapped[int] = mapped_column(primary_key=True)
    enterprise_id: Mapped[int] = mapped_column(ForeignKey("enterprises.id"))
    submitted_by: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    channel: Mapped[str]
    state: Mapped[str]
    version: Mapped[int] = mapped_column(server_default="1")
    body: Mapped[str]
    item_codes: Mapped[list[str]]
    contact_name: Mapped[str]
    contact_phone: Mapped[str]
    region_code: Mapped[str]
    node_id: Mapped[int] = mapped_column(ForeignKey("nodes.id"))
    owner_id: Mapped[int | None]
    wanted_by: Mapped[date | None]
    understanding: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    due_at: Mapped[datetime]
    due_provisional: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Deadline(Base):
    __tablename__ = "deadlines"
    id: Mapped[int] = mapped_column(primary_key=True)
    need_id: Mapped[int] = mapped_column(ForeignKey("needs.id"))
    kind: Mapped[str]
    state: Mapped[str]
    days: Mapped[int]
    due_at: Mapped[datetime]
    provisional: Mapped[bool]
    remind_at: Mapped[datetime]
    node_at: Mapped[datetime]
    above_at: Mapped[datetime]
    stamp: Mapped[int]


class Event(Base):
    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True)
    need_id: Mapped[int] = mapped_column(ForeignKey("needs.id"))
    machine: Mapped[str]
    from_state: Mapped[str]
    action: Mapped[str]
    to_state: Mapped[str]
    actor_id: Mapped[int | None]


class OutboxRow(Base):
    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(primary_key=True)
    topic: Mapped[str]
    payload: Mapped[dict[str, Any]]


class IdempotencyKey(Base):
    __tablename__ = "idempotency_keys"
    account_id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes]
    status: Mapped[int]
    body: Mapped[bytes]


class ServiceItem(Base):
    __tablename__ = "service_items"
    code: Mapped[str] = mapped_column(primary_key=True)


class ServiceItemVersion(Base):
    __tablename__ = "service_item_versions"
    item_code: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    item_list: Mapped[str]
    rights: Mapped[list[str]]
    stages: Mapped[list[str]]


class Institution(Base):
    __tablename__ = "institutions"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]
    version: Mapped[int]
    demo: Mapped[bool]


class InstitutionVersion(Base):
    __tablename__ = "institution_versions"
    institution_id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    region_code: Mapped[str]


class Offering(Base):
    __tablename__ = "offerings"
    id: Mapped[int] = mapped_column(primary_key=True)
    institution_id: Mapped[int]
    state: Mapped[str]
    version: Mapped[int]
    capacity: Mapped[int]
    load: Mapped[int]


class OfferingVersion(Base):
    __tablename__ = "offering_versions"
    offering_id: Mapped[int] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    item_code: Mapped[str]
    item_version: Mapped[int]
    title: Mapped[str]
    summary: Mapped[str]
    guide: Mapped[dict[str, Any]]
    region_codes: Mapped[list[str]]
    audience: Mapped[list[str]]
    channels: Mapped[list[str]]
    fee: Mapped[str]
    promised_days: Mapped[int | None]
    created_at: Mapped[datetime]
