"""Errors of the domain, each with the HTTP status and the words a person reads. Knows no framework.

An error is raised in the language of whoever asked: its docstring and title are messages (market/i18n.py).
"""

import math
from collections.abc import Mapping
from typing import ClassVar

from market.i18n import N_, _, _n


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


class ContactUnreadable(DomainError):
    """联系方式暂时打不开：缺少解密的密钥。请告诉管理员，其他事项可以照常办理。"""

    status = 503
    slug = "contact-unreadable"
    title = N_("联系方式暂时打不开")


class Conflict(DomainError):
    """内容刚刚有了变化，请刷新后再试。"""

    status = 409
    slug = "conflict"
    title = N_("内容有了变化")


class FiledAlready(Conflict):
    """这张表单刚才已经提交过，没有重复提交。如果这是另一件事，请核对后再点一次提交。"""

    slug = "filed-already"
    title = N_("已经提交过")


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


class TooManyRequests(DomainError):
    """操作太频繁，请稍等一会儿再试。"""

    status = 429
    slug = "too-many-requests"
    title = N_("操作太频繁")

    def __init__(self, seconds: float, detail: str | None = None) -> None:
        self.seconds = max(1, math.ceil(seconds))
        minutes = math.ceil(self.seconds / 60)
        wait = _n("{n} 秒", self.seconds) if self.seconds <= 90 else _n("{n} 分钟", minutes)
        super().__init__(detail or self.words(wait))

    def words(self, wait: str) -> str:
        """What the reader is told."""
        return _("操作太频繁，请过 {wait}再试。", wait=wait)


class TooManyAttempts(TooManyRequests):
    """尝试的次数太多了，请稍后再试。"""

    slug = "too-many-attempts"
    title = N_("请稍后再试")

    def words(self, wait: str) -> str:
        """What the reader is told."""
        return _("试的次数太多了，请过 {wait}再试。忘记密码可以请骨干节点或管理员重设。", wait=wait)


class Busy(DomainError):
    """现在登录的人很多，请过几秒再试。"""

    status = 503
    slug = "busy"
    title = N_("服务暂时繁忙")


class Overloaded(Busy):
    """现在排队办理的需求很多，请过几分钟再提交。"""

    slug = "overloaded"


class SecondFactorMissing(DomainError):
    """您的账号需要先设置两步验证，之后才能继续。"""

    status = 403
    slug = "second-factor-missing"
    title = N_("请先设置两步验证")


class SignInFailed(DomainError):
    """统一身份平台的登录没有完成，请重新开始；也可以用密码登录。"""

    status = 400
    slug = "sign-in-failed"
    title = N_("登录没有完成")


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


class ChangedSinceRead(DomainError):
    """您读取之后，这份内容有了变化。请重新读取，核对后带上新的 ETag（If-Match）再提交。"""

    status = 412
    slug = "changed-since-read"
    title = N_("内容有了变化")


class IfMatchMissing(DomainError):
    """请先读取这份内容，再把答复中的 ETag 放进请求头 If-Match 提交，这样不会盖掉别人的修改；If-Match: * 表示不比较。"""

    status = 428
    slug = "if-match-missing"
    title = N_("缺少 If-Match")


class ProviderAway(SignInFailed):
    """统一身份平台暂时连不上，请过一会儿再试；也可以用密码登录。"""

    status = 503
    slug = "provider-away"
    title = N_("统一身份平台暂时连不上")


class LinkUsedUp(NotFound):
    """这个链接已经用过，或过了一小时。请向骨干节点或管理员再要一个。"""

    slug = "link-used-up"
    title = N_("链接已经失效")


class AlreadyLinked(Conflict):
    """这个身份或这个账号已经另有关联。可以直接用它登录，或先取消原来的关联。"""

    slug = "already-linked"
    title = N_("已经关联过")


class TooManyStreams(DomainError):
    """同时打开的页面太多，这个页面改为每隔一会儿刷新一次。"""

    status = 503
    slug = "too-many-streams"
    title = N_("打开的页面太多")
