"""A real mail server for tests: aiosmtpd, which can be made to refuse, hang up, or show a certificate."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP as POLICY
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Mailbox:
    """What the server took, and how it answers: ``answers`` are given first, one a letter; None: take it."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.answers: list[str | None] = []
        self.to: dict[str, str] = {}
        """Answers to recipients."""
        self.hang_up = 0
        """So many letters are cut off in the middle."""
        self.slow = 0.0
        self.offered = 0

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        """aiosmtpd's."""
        if address in self.to:
            return self.to[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """aiosmtpd's."""
        self.offered += 1
        await asyncio.sleep(self.slow)
        if self.hang_up:
            self.hang_up -= 1
            server.transport.abort()
            return "250 never heard"
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            return answer
        parsed = BytesParser(policy=POLICY).parsebytes(envelope.content)
        assert isinstance(parsed, EmailMessage)
        self.letters.append(parsed)
        return "250 OK"


class MailServer:
    """Listens on a port of its own; ``stop`` and ``start`` again keep the port."""

    def __init__(self, mailbox: Mailbox, **options: Any) -> None:
        self._make: Callable[[], SMTP] = lambda: SMTP(mailbox, hostname="mail.test", **options)
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> "MailServer":
        self._server = await asyncio.get_running_loop().create_server(self._make, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._server.wait_closed()
            self._server = None


def certificate(folder: Path, *names: str) -> tuple[Path, ssl.SSLContext]:
    """A certificate that signs itself, valid for these names; its file, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, secret = folder / f"{names[0]}.pem", folder / f"{names[0]}.key"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, secret)
    return file, context
