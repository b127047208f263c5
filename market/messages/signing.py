"""Signatures: of links in letters, by the key of the address; and of what is posted to webhooks. Pure."""

import base64
import hmac
from datetime import datetime, timedelta

CONFIRM_WITHIN = timedelta(days=3)
SECRET_PREFIX = "whsec_"  # noqa: S105 - as Standard Webhooks has it


def sign_link(key: bytes, action: str, account_id: int, at: int = 0) -> str:
    """Of one link; nobody without the address's key can make another."""
    digest = hmac.digest(key, f"{action}:{account_id}:{at}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def confirms(key: bytes, account_id: int, at: int, signature: str, now: datetime) -> bool:
    """Whether a link confirms the address with that key: it is ours, and not too old."""
    fresh = 0 <= now.timestamp() - at <= CONFIRM_WITHIN.total_seconds()
    return fresh and _same(sign_link(key, "confirm", account_id, at), signature)


def stops(key: bytes, account_id: int, signature: str) -> bool:
    """Whether a link stops letters to the address with that key. It never grows old: who wants to leave may."""
    return _same(sign_link(key, "stop", account_id), signature)


def show_secret(secret: bytes) -> str:
    """As receivers' libraries want it."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def sign_hook(secret: bytes, hook_id: str, timestamp: int, body: bytes) -> str:
    """Header ``webhook-signature`` of Standard Webhooks: HMAC-SHA256 over id, time and body."""
    signed = b".".join((hook_id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()


def _same(ours: str, theirs: str) -> bool:
    return hmac.compare_digest(ours.encode(), theirs.encode())
