"""Posting to webhooks: only to where the world may reach, signed, and never longer than a few seconds."""

import asyncio
import ipaddress
import socket
import ssl
from functools import cache
from urllib.parse import urlsplit

import httpx
from msgspec import Struct

from market.i18n import _

SECONDS = 10.0
"""For everything: name, connection, answer."""
NAME_SECONDS = 5.0
# They carry an address of version 4 inside, which may be anybody's.
TUNNELS = tuple(ipaddress.ip_network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"))
GONE = 410

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(Exception):
    """We do not post there; the message says why, to whoever typed the address."""


class Answer(Struct, frozen=True):
    """What came of a post. ``error`` names no address and no content; None: taken."""

    error: str | None
    gone: bool = False


async def check(url: str, *, private: bool) -> list[str]:
    """The addresses that the host of ``url`` has now, all of them fit to post to.

    ``private``: plain http and addresses inside the house are allowed too.

    Raises:
        Refused: the url is no https address, or its host is, or is partly, inside some house.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise Refused(_("地址不完整，请从 https:// 开始填写。")) from None
    if not url.isascii() or not url.isprintable() or " " in url or parts.scheme not in ("http", "https") or not host:
        raise Refused(_("地址不完整，请从 https:// 开始填写，中文域名请用 xn-- 的写法。"))
    if parts.scheme == "http" and not private:
        raise Refused(_("请用 https:// 开头的地址，消息在路上才不会被别人看到。"))
    if parts.username is not None or parts.password is not None:
        raise Refused(_("地址里不要带用户名和密码，收到的消息请用签名核对。"))
    found = await _resolve(host, port or (443 if parts.scheme == "https" else 80))
    if not found:
        raise Refused(_("这个地址现在找不到，请检查域名是否写对。"))
    if not private and not all(_is_public(one) for one in found):
        raise Refused(_("这个地址在内部网络里，不能接收推送。请填写公网能访问的地址。"))
    return found


async def post(url: str, body: bytes, headers: dict[str, str], *, private: bool) -> Answer:
    """Post ``body``; redirects are not followed, and of the answer only the status is read."""
    try:
        async with asyncio.timeout(SECONDS):
            found = await check(url, private=private)
            return await _post_to_any(url, found[:2], body, headers)
    except Refused:
        return Answer("refused: not a public https address")
    except TimeoutError:
        return Answer("timeout")
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
        return Answer(type(error).__name__)


async def _post_to_any(url: str, addresses: list[str], body: bytes, headers: dict[str, str]) -> Answer:
    """To the first of the addresses that can be reached."""
    for address in addresses[:-1]:
        try:
            return await _post(url, address, body, headers)
        except httpx.ConnectError:
            continue
    return await _post(url, addresses[-1], body, headers)


async def _post(url: str, address: str, body: bytes, headers: dict[str, str]) -> Answer:
    """To the very address that was looked at: a name that is asked twice may answer otherwise the second time.

    Each post has a connection of its own, for a pool would take hosts of one address for one.
    """
    wanted = httpx.URL(url)
    # no proxies and no .netrc of this machine's: they would go around what was checked
    async with httpx.AsyncClient(verify=_tls(), timeout=SECONDS, follow_redirects=False, trust_env=False) as client:
        request = client.build_request(
            "POST",
            wanted.copy_with(host=address),
            content=body,
            headers={**headers, "Host": wanted.netloc.decode(), "Content-Type": "application/json"},
            extensions={"sni_hostname": wanted.host},
        )
        answer = await client.send(request, stream=True)
        await answer.aclose()
    if answer.is_success:
        return Answer(None)
    return Answer(f"HTTP {answer.status_code}", gone=answer.status_code == GONE)


async def _resolve(host: str, port: int) -> list[str]:
    """The host's addresses, in the order the system prefers; numbers in any notation are read as it would read them."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(NAME_SECONDS):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # TimeoutError is an OSError
        return []
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def _is_public(address: str) -> bool:
    ip: Ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return _is_public(str(ip.ipv4_mapped))
        if any(ip in one for one in TUNNELS):
            return False
    return ip.is_global and not ip.is_multicast


@cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the system's certificates takes longer than posting."""
    return ssl.create_default_context()
