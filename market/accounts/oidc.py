"""Log-in through an OpenID provider: authorization code with PKCE, state and nonce (OpenID Connect Core 1.0).

The provider says who somebody is; it never says which account that is: an identity is linked by its owner.
"""

import asyncio
import secrets
import time
from typing import Any

import httpx
import msgspec
import structlog
from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata, get_well_known_url
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from msgspec import Struct

from infra.settings import Settings
from market.accounts.model import Identity
from market.errors import ProviderAway, SignInFailed

ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"]
"""Signatures that only the provider can make. None with a shared secret, and never "none"."""
SCOPE = "openid profile phone"
KEPT_SECONDS = 600.0
TIMEOUT_SECONDS = 5.0
LEEWAY_SECONDS = 60

log = structlog.get_logger()


class Attempt(Struct, frozen=True):
    """A log-in that was sent to the provider, until it comes back."""

    state: str
    nonce: str
    verifier: str
    wanted: str


class Person(Struct, frozen=True, kw_only=True):
    """Who came back, and what the provider says of them. Only ``identity`` is ever relied on."""

    identity: Identity
    login: str = ""
    phone: str = ""


class Provider:
    """The provider of the settings. What it publishes is kept for KEPT_SECONDS."""

    def __init__(self, settings: Settings) -> None:
        assert settings.oidc_issuer is not None
        assert settings.oidc_client_id is not None
        self.name = settings.oidc_name
        self.issuer = settings.oidc_issuer
        self._client_id = settings.oidc_client_id
        self._client_secret = settings.oidc_client_secret
        self._redirect_uri = f"{settings.address}/login/oidc/callback"
        self._metadata: dict[str, Any] = {}
        self._keys: KeySet | None = None
        self._read_at = 0.0
        self._reading = asyncio.Lock()

    async def start(self, wanted: str) -> tuple[str, Attempt]:
        """Where to send the browser, and what has to be remembered of it.

        Raises:
            ProviderAway: it does not answer.
        """
        await self._read()
        state, nonce, verifier = (secrets.token_urlsafe(32) for _part in range(3))
        attempt = Attempt(state, nonce, verifier, wanted)
        query = [
            ("response_type", "code"),
            ("client_id", self._client_id),
            ("redirect_uri", self._redirect_uri),
            ("scope", SCOPE),
            ("state", attempt.state),
            ("nonce", attempt.nonce),
            ("code_challenge", create_s256_code_challenge(attempt.verifier)),
            ("code_challenge_method", "S256"),
        ]
        return str(add_params_to_uri(self._metadata["authorization_endpoint"], query)), attempt

    async def finish(self, attempt: Attempt, code: str) -> Person:
        """Who came back with that code.

        Raises:
            SignInFailed: the code or the token it gave is not good; the log says why.
            ProviderAway: it does not answer.
        """
        await self._read()
        token = await self._token(attempt, code)
        try:
            claims = await self._claims(token, attempt.nonce)
        except (JoseError, ValueError, TypeError) as error:
            log.warning("identity token refused", reason=str(error))
            raise SignInFailed from None
        name = str(claims.get("name") or claims.get("preferred_username") or claims["sub"])
        return Person(
            identity=Identity(issuer=self.issuer, subject=str(claims["sub"]), name=name[:50]),
            login=str(claims.get("preferred_username") or "")[:64],
            phone=str(claims.get("phone_number") or "")[:30],
        )

    async def _token(self, attempt: Attempt, code: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": attempt.verifier,
        }
        auth = None
        methods = self._metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if self._client_secret and "client_secret_basic" in methods:
            auth = httpx.BasicAuth(self._client_id, self._client_secret)
        else:
            form |= {"client_id": self._client_id}
            form |= {"client_secret": self._client_secret} if self._client_secret else {}
        return await self._ask("POST", self._metadata["token_endpoint"], data=form, auth=auth)

    async def _claims(self, token: dict[str, Any], nonce: str) -> CodeIDToken:
        signed = token["id_token"] if isinstance(token.get("id_token"), str) else ""
        try:
            read = jwt.decode(signed, self._known_keys(), algorithms=ALGORITHMS)
        except InvalidKeyIdError:  # the provider has new keys
            await self._read(anew=True)
            read = jwt.decode(signed, self._known_keys(), algorithms=ALGORITHMS)
        options: Any = {
            "iss": {"essential": True, "value": self.issuer},
            "aud": {"essential": True, "value": self._client_id},
            "sub": {"essential": True},
            "exp": {"essential": True},
        }
        params = {"nonce": nonce, "client_id": self._client_id, "access_token": token.get("access_token")}
        claims = CodeIDToken(read.claims, read.header, options, params)
        claims.validate(now=int(time.time()), leeway=LEEWAY_SECONDS)
        return claims

    def _known_keys(self) -> KeySet:
        assert self._keys is not None
        return self._keys

    async def _read(self, *, anew: bool = False) -> None:
        """Read what the provider publishes, if what we have is too old."""
        async with self._reading:
            if not anew and self._keys is not None and time.monotonic() - self._read_at < KEPT_SECONDS:
                return
            metadata = OpenIDProviderMetadata(await self._ask("GET", get_well_known_url(self.issuer, external=True)))
            if metadata.get("issuer") != self.issuer:
                log.error("the provider calls itself another name", found=metadata.get("issuer"), wanted=self.issuer)
                raise ProviderAway
            keys = await self._ask("GET", str(metadata["jwks_uri"]))
            self._metadata, self._keys = dict(metadata), KeySet.import_key_set(keys)  # type: ignore[arg-type]
            self._read_at = time.monotonic()

    async def _ask(self, method: str, url: str, **given: Any) -> dict[str, Any]:
        """The JSON object that the provider answers.

        Raises:
            SignInFailed: it refuses.
            ProviderAway: it does not answer, or with something else.
        """
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
                answer = await client.request(method, url, **given)
            found = msgspec.json.decode(answer.content, type=dict[str, Any])
        except (httpx.HTTPError, msgspec.MsgspecError) as error:
            log.warning("the OpenID provider does not answer", url=url, error=repr(error))
            raise ProviderAway from None
        if 400 <= answer.status_code < 500:
            log.warning("the OpenID provider refuses", url=url, status=answer.status_code, error=found.get("error"))
            raise SignInFailed
        if answer.status_code != 200:
            log.warning("the OpenID provider does not answer", url=url, status=answer.status_code)
            raise ProviderAway
        return found
