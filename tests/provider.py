# ruff: noqa: ARG002, ARG005 - Authlib says what methods are given
"""An OpenID provider to test against, on a port of its own: Authlib's provider side checks PKCE, codes and clients.

``Provider.says`` changes what its next identity tokens say, ``lies`` what its description says.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import uvicorn
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Payload, OAuth2Request
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6749.models import AuthorizationCodeMixin
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core.grants import OpenIDCode
from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "zhipei", "a secret between the two"
REDIRECT_URI = "http://test/login/oidc/callback"


class Client(ClientMixin):
    """Zhipei, as the provider knows it."""

    def get_client_id(self) -> str:
        return CLIENT_ID

    def get_default_redirect_uri(self) -> str:
        return REDIRECT_URI

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == REDIRECT_URI

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


class Code(AuthorizationCodeMixin):
    """An authorization code that was given out."""

    def __init__(self, code: str, request: Any) -> None:
        self.code = code
        self.given = dict(request.payload.data)
        self.code_challenge = self.given.get("code_challenge")
        self.code_challenge_method = self.given.get("code_challenge_method")

    def get_redirect_uri(self) -> str:
        return str(self.given["redirect_uri"])

    def get_scope(self) -> str:
        return str(self.given["scope"])

    def get_nonce(self) -> str | None:
        return self.given.get("nonce")

    def get_auth_time(self) -> None:
        return None

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


class Grant(AuthorizationCodeGrant):
    """Codes, each good once."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic",)

    def save_authorization_code(self, code: str, request: Any) -> None:
        self.server.provider.codes[code] = Code(code, request)

    def query_authorization_code(self, code: str, client: Any) -> Code | None:
        return self.server.provider.codes.get(code)

    def delete_authorization_code(self, authorization_code: Code) -> None:
        del self.server.provider.codes[authorization_code.code]

    def authenticate_user(self, authorization_code: Code) -> str:
        return "somebody"


class Payload(OAuth2Payload):
    def __init__(self, data: dict[str, str]) -> None:
        self._data = data

    @property
    def data(self) -> dict[str, str]:
        return self._data

    @property
    def datalist(self) -> dict[str, list[str]]:
        return {name: [value] for name, value in self._data.items()}


class Request(OAuth2Request):
    """A request, read."""

    @property
    def form(self) -> dict[str, str]:
        return dict(self.payload.data)


class Identity(OpenIDCode):
    """What identity tokens say."""

    def __init__(self, provider: "Provider") -> None:
        super().__init__(require_nonce=True)
        self.provider = provider

    def exists_nonce(self, nonce: str, request: Any) -> bool:
        return False

    def process_token(self, grant: Any, response: Any) -> Any:
        token, code = response[1], grant.request.authorization_code
        now = int(time.time())
        claims = {
            "iss": self.provider.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": code.get_nonce(),
            **self.provider.person,
            **self.provider.says,
        }
        key = self.provider.signing
        token["id_token"] = jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)
        return response


class Server(AuthorizationServer):
    def __init__(self, provider: "Provider") -> None:
        super().__init__(scopes_supported=["openid", "profile", "phone"])
        self.provider = provider
        self.register_token_generator("default", BearerTokenGenerator(lambda **given: f"at-{time.time_ns()}"))
        self.register_grant(Grant, [CodeChallenge(required=True), Identity(provider)])

    def query_client(self, client_id: str) -> Client | None:
        return Client() if client_id == CLIENT_ID else None

    def save_token(self, token: Any, request: Any) -> None:
        pass

    def send_signal(self, *args: Any, **kwargs: Any) -> None:
        pass

    def create_oauth2_request(self, request: Any) -> Any:
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> Any:
        return status, body, headers


class Provider:
    """An ASGI application; everybody who comes is ``person``, and agrees."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.codes: dict[str, Code] = {}
        self.person: dict[str, Any] = {"sub": "u-1", "name": "赵敏", "preferred_username": "zhaomin"}
        self.says: dict[str, Any] = {}
        self.lies: dict[str, Any] = {}
        self.published = self.signing = RSAKey.generate_key(2048, {"kid": "k1"}, private=True)
        self.server = Server(self)

    def renew_keys(self, kid: str, *, publish: bool = True) -> None:
        """Sign with another key from now on."""
        self.signing = RSAKey.generate_key(2048, {"kid": kid}, private=True)
        self.published = self.signing if publish else self.published

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        body += message.get("body", b"")
        status, answer, headers = self._answer(scope, body)
        raw = msgspec.json.encode(answer) if isinstance(answer, dict) else str(answer or "").encode()
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": raw})

    def _answer(self, scope: Any, body: bytes) -> tuple[int, Any, Any]:
        path, query = scope["path"], scope["query_string"].decode()
        headers = {name.decode().title(): value.decode() for name, value in scope["headers"]}
        if path == "/.well-known/openid-configuration":
            return 200, self._description(), []
        if path == "/keys":
            return 200, {"keys": [self.published.as_dict(private=False)]}, []
        request = Request(scope["method"], f"{self.issuer}{path}?{query}", headers=headers)
        request.payload = Payload(dict(parse_qsl(query if path == "/authorize" else body.decode())))
        if path == "/authorize":
            grant = self.server.get_consent_grant(request, end_user="somebody")
            return self.server.create_authorization_response(request, grant_user="somebody", grant=grant)
        return self.server.create_token_response(request)

    def _description(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            **self.lies,
        }


@asynccontextmanager
async def running(app: Any, port: int, **config: Any) -> AsyncIterator[None]:
    """The application, answering on that port of this machine."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical", lifespan="off", **config)
    )
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await task


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
