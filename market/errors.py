"""Errors of the domain, each with the HTTP status and the words a person reads. Knows no framework.

An error is raised in the language of whoever asked: its docstring and title are messages (market/i18n.py).
"""

from collections.abc import Mapping
from typing import ClassVar

from market.i18n import N_, _


class DomainError(Exception):
    """这一步没有完成。"""

    status: ClassVar[int] = 400
    slug: ClassVar[str] = "domain-error"
    title: ClassVar[str] = N_("这一步没有完成")

    def __init__(self, detail: str | None = None, *, fields: Mapping[str, str] | None = None) -> None:
        self.detail = detail or _(type(self).__doc__ or self.title)
        self.fields = dict(fields or {})
        super().__init__(self.detail)


class InvalidInput(DomainError):
    """有几处需要改一下，见各项旁边的说明。"""

    status = 422
    slug = "invalid-input"
    title = N_("填写的内容需要修改")


class NotFound(DomainError):
    """没有找到您要的内容，可能链接不完整，或者您没有查看它的权限。"""

    status = 404
    slug = "not-found"
    title = N_("没有找到")


class NotAuthenticated(DomainError):
    """请先登录，再继续刚才的操作。"""

    status = 401
    slug = "not-authenticated"
    title = N_("请先登录")


class Forbidden(DomainError):
    """您的账号没有做这一步的权限。"""

    status = 403
    slug = "forbidden"
    title = N_("没有权限")


class Conflict(DomainError):
    """内容刚刚有了变化，请刷新后再试。"""

    status = 409
    slug = "conflict"
    title = N_("内容有了变化")


class EditedMeanwhile(Conflict):
    """您打开之后，别人改过这份内容。您填写的都还在，没动过的项目已换成新的；请核对后再保存。"""

    slug = "edited-meanwhile"
    title = N_("内容被别人改过")


class ItemWithdrawn(Conflict):
    """这个服务事项已经撤销，不能再发布；已派的单照旧办完。"""

    slug = "item-withdrawn"
    title = N_("事项已撤销")


class InvalidTransition(Conflict):
    """现在的状态下不能做这一步，请刷新查看最新状态。"""

    slug = "invalid-transition"
    title = N_("现在不能做这一步")


class CapacityFull(Conflict):
    """这项服务的名额刚刚用完，或已暂停受理，请改选其他候选。"""

    slug = "capacity-full"
    title = N_("名额已满")


class NotOwner(Conflict):
    """这条需求由同事首问负责。要由您办理，请先请对方交接给您。"""

    slug = "not-owner"
    title = N_("由同事负责")


class AlreadyReturned(Conflict):
    """这条需求已经退回补正过。一次性告知只能用一次；企业的答复带出了新情况，才能就新情况再告知。"""

    slug = "already-returned"
    title = N_("已经退回过一次")


class AlreadyRated(Conflict):
    """这次服务已经评价过了。每次服务评价一次，还有话要说可以追加评价。"""

    slug = "already-rated"
    title = N_("已经评价过")


class TooManyAttempts(DomainError):
    """尝试的次数太多了，请过 5 分钟再试；忘记密码请联系所在地的骨干节点。"""

    status = 429
    slug = "too-many-attempts"
    title = N_("请稍后再试")


class IdempotencyMismatch(DomainError):
    """这个 Idempotency-Key 已用于另一个请求，请换一个新的。"""

    status = 422
    slug = "idempotency-mismatch"
    title = N_("重复使用了 Idempotency-Key")


class IdempotencyMissing(DomainError):
    """请在请求头中带上 Idempotency-Key，重试时用同一个值，这样不会重复提交。"""

    status = 400
    slug = "idempotency-missing"
    title = N_("缺少 Idempotency-Key")


class TooManyStreams(DomainError):
    """同时打开的页面太多，这个页面改为每隔一会儿刷新一次。"""

    status = 503
    slug = "too-many-streams"
    title = N_("打开的页面太多")
