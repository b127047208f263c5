"""Entries of the audit trail, its chain, and what is found when it is verified."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from market.i18n import Words

LEAST_DAYS = 180
"""The law's least (网络安全法, article 21); the database deletes nothing younger."""
NOBODY, TERMINAL, WORKER, RECEIPT = "nobody", "terminal", "worker", "receipt"
"""RECEIPT: whoever held one, while they still showed the contact."""


class Action(StrEnum):
    """What is told of."""

    LOG_IN = "log_in"
    LOG_IN_FAILED = "log_in_failed"
    LOG_OUT = "log_out"
    ADD_ACCOUNT = "add_account"
    SET_PASSWORD = "set_password"  # noqa: S105  the name of a step
    DISABLE_ACCOUNT = "disable_account"
    ENABLE_ACCOUNT = "enable_account"
    CHANGE_ROLE = "change_role"
    ADD_TOKEN = "add_token"  # noqa: S105
    REVOKE_TOKEN = "revoke_token"  # noqa: S105
    ADD_FACTOR = "add_factor"
    DROP_FACTOR = "drop_factor"
    SET_RULE = "set_rule"
    SET_CALENDAR = "set_calendar"
    IMPORT = "import"
    LIST_STEP = "list_step"
    MODEL_STEP = "model_step"
    NOTICE_STEP = "notice_step"
    SUPERVISION_STEP = "supervision_step"
    SET_SUPERVISION_RULE = "set_supervision_rule"
    RULE_ON_RATING = "rule_on_rating"
    VIEW = "view"
    EXPORT = "export"
    BACKUP = "backup"
    RESTORE = "restore"
    ROTATE_KEYS = "rotate_keys"
    ASK_ERASURE = "ask_erasure"
    ERASE = "erase"


ACTION_NAMES: Mapping[str, str] = Words(
    {
        Action.LOG_IN: "登录",
        Action.LOG_IN_FAILED: "登录未成功",
        Action.LOG_OUT: "退出登录",
        Action.ADD_ACCOUNT: "新建账号",
        Action.SET_PASSWORD: "更改密码",
        Action.DISABLE_ACCOUNT: "停用账号",
        Action.ENABLE_ACCOUNT: "恢复账号",
        Action.CHANGE_ROLE: "更改角色",
        Action.ADD_TOKEN: "新建访问令牌",
        Action.REVOKE_TOKEN: "停用访问令牌",
        Action.ADD_FACTOR: "启用两步验证",
        Action.DROP_FACTOR: "关闭两步验证",
        Action.SET_RULE: "修改办理期限",
        Action.SET_CALENDAR: "修改工作日历",
        Action.IMPORT: "导入数据",
        Action.LIST_STEP: "清单修订",
        Action.MODEL_STEP: "排序模型变更",
        Action.NOTICE_STEP: "公告发布与修改",
        Action.SUPERVISION_STEP: "督导办理",
        Action.SET_SUPERVISION_RULE: "修改督导规则",
        Action.RULE_ON_RATING: "裁定评价",
        Action.VIEW: "查看联系人信息",
        Action.EXPORT: "导出",
        Action.BACKUP: "备份",
        Action.RESTORE: "从备份恢复",
        Action.ROTATE_KEYS: "更换加密密钥",
        Action.ASK_ERASURE: "申请删除个人信息",
        Action.ERASE: "删除个人信息",
    }
)


class Purpose(StrEnum):
    """What somebody's contact is looked at for: told by who looks, and how far the need is."""

    DECIDE = "decide"
    SERVE = "serve"
    COUNTER = "counter"
    AFTERCARE = "aftercare"


PURPOSE_NAMES: Mapping[str, str] = Words(
    {
        Purpose.DECIDE: "受理和安排需求",
        Purpose.SERVE: "提供服务",
        Purpose.COUNTER: "窗口代办",
        Purpose.AFTERCARE: "办结后的回访和整改",
    }
)
ROLES: Mapping[str, str] = Words({NOBODY: "未登录", TERMINAL: "命令行", WORKER: "后台任务", RECEIPT: "窗口回执"})
"""Those who are no account."""


class Who(Protocol):
    """Whoever acts, as the trail knows them."""

    @property
    def id(self) -> int:
        """The account."""

    @property
    def role(self) -> str:
        """Its role now."""


class Entry(Struct, frozen=True, kw_only=True):
    """One thing that somebody did."""

    id: int
    at: datetime
    actor_id: int | None
    role: str
    action: str
    object: str
    request_id: str | None
    address: str | None
    data: dict[str, Any]

    @property
    def action_name(self) -> str:
        """The action in words."""
        return ACTION_NAMES.get(self.action, self.action)


class Shown(Entry, frozen=True, kw_only=True):
    """An entry in a list, with the account's login as it is now."""

    login: str | None


class Link(Struct, frozen=True, kw_only=True):
    """A place of the chain, with what is left of the entry that was chained there."""

    position: int
    audit_id: int
    hash: bytes
    entry: dict[str, Any] | None


class Seal(Struct, frozen=True):
    """Where the chain stood at one moment."""

    position: int
    hash: bytes
    horizon: int
    at: datetime

    @property
    def anchor(self) -> str:
        """To be noted outside of the database: later the chain has to lead through here."""
        return f"{self.position}:{self.hash.hex()}"


class Snapshot(Struct, frozen=True):
    """Transactions before ``horizon`` have ended; those from ``future`` on have not begun."""

    horizon: int
    future: int


class Filter(Struct, frozen=True, kw_only=True):
    """Which entries are wanted."""

    login: str | None = None
    action: str | None = None
    object: str | None = None
    since: date | None = None
    until: date | None = None


class Finding(Struct, frozen=True):
    """Something that is wrong with the trail."""

    position: int
    problem: str


class Verdict(Struct, frozen=True):
    """What verifying came to. ``unchained``: written, but not chained yet."""

    checked: int
    unchained: int
    last: Seal
    findings: list[Finding]


def digest(before: bytes, entry: Entry) -> bytes:
    """The chain's next hash. Every column counts; the moment to the microsecond, in UTC."""
    content = msgspec.json.encode(
        (
            entry.id,
            entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
            entry.actor_id,
            entry.role,
            entry.action,
            entry.object,
            entry.request_id,
            entry.address,
            entry.data,
        ),
        order="deterministic",
    )
    return hashlib.sha256(before + content).digest()
