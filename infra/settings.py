"""Every setting of Zhipei, in one frozen Struct, read once from the environment (``ZHIPEI_*``) and passed in.

docs/operations.md lists them; a test holds that list equal to this Struct.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

PREFIX = "ZHIPEI_"
Port = Annotated[int, Meta(ge=1, le=65535)]
Positive = Annotated[int, Meta(ge=1)]
Limit = Annotated[int, Meta(ge=0)]
PositiveFloat = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0, le=100)]


SECRET = re.compile("secret|key|url")
"""In the names of settings whose values are told to nobody: an address may hold a password."""


class SettingsError(Exception):
    """A setting has a value that cannot be used."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """One field a setting; the environment variable is ``ZHIPEI_`` and the name in capitals."""

    database_url: str | None = None
    """PostgreSQL to use. None: the embedded one, in ``data_dir``."""
    migrate_url: str | None = None
    """The same database as the owner of its tables, for migrations and backups. None: as ``database_url`` says."""
    redis_url: str | None = None
    """Redis to use. None: the embedded one, in ``data_dir``."""
    data_dir: Path = Path(".zhipei")
    """Folder of the embedded servers' data, logs and keys. Survives restarts."""
    meili_url: str | None = None
    """Meilisearch server to search with. None: the embedded engine, in ``data_dir``."""
    meili_key: str | None = None
    """Meilisearch key that may write: the worker's. ``zhipei search setup`` makes the one for searching."""
    meili_search_key: str | None = None
    """Meilisearch key that may only search: the web server's. None: ``meili_key`` serves for both."""
    language_dir: Path | None = None
    """Folder of this installation's own words and example needs. None: ``language``, in ``data_dir``."""
    host: str = "127.0.0.1"
    """Address the web server listens on."""
    port: Port = 8000
    """Port the web server listens on."""
    public_url: str | None = None
    """Address people see, as it is printed at the start. None: http://host:port."""
    security_contact: Annotated[str, Meta(pattern=r"^(mailto:|https://|tel:)[!-~]+$")] | None = None
    """Where to report a weakness, as in mailto:security@example.cn or https://…: /.well-known/security.txt tells it."""
    secret: Annotated[str, Meta(min_length=32)] | None = None
    """Signs forms; the same for all web processes, at least 32 characters. None: made once, kept in ``data_dir``."""
    data_key: Annotated[str, Meta(pattern=r"^[^,]{32,}(,[^,]{32,})*$")] | None = None
    """Encrypts secrets and personal data, 32 characters or more; new ones in front, with a comma. None: a file."""
    secure_cookies: bool = False
    """Send cookies over HTTPS only. Set it wherever the public address is https."""
    forwarded_allow_ips: str = "127.0.0.1"
    """Reverse proxies whose X-Forwarded-For is believed, as uvicorn takes them."""
    db_connections: Positive = 10
    """Connections to PostgreSQL kept by each process."""
    db_wait_seconds: PositiveFloat = 5.0
    """How long a request waits for a free connection before it is answered 503."""
    statement_timeout_ms: Positive = 15_000
    """PostgreSQL's limit for one statement."""
    lock_timeout_ms: Positive = 3_000
    """PostgreSQL's limit for one wait for a lock."""
    smtp_url: str | None = None
    """Mail server: smtps://user:password@host:465, smtp://user:password@host:587?starttls. None: no letters."""
    smtp_ca_file: Path | None = None
    """Certificates to check the mail server's against. None: the system's."""
    mail_from: str | None = None
    """From whom letters come, as in 知配 <noreply@example.cn>. None: noreply@ and the host of ``public_url``."""
    private_webhooks: bool = False
    """Let webhooks be plain http and inside the house: for an installation without a way out, and for trials."""
    messages_days: Positive = 180
    """Messages that were read are deleted after so many days."""
    session_hours: Positive = 12
    """A log-in ends after so many hours without a request."""
    session_most_hours: Positive = 168
    """A log-in ends so many hours after it began, whatever is done meanwhile."""
    password_length: Annotated[int, Meta(ge=8, le=64)] = 10
    """Fewest characters of a new password."""
    require_totp: bool = False
    """Coordinators and admins need a second factor. False is for trying it out: set it in production."""
    hash_threads: Positive = 2
    """Passwords hashed at once by each web process: 64 MiB and a core each, for some 50 ms."""
    login_attempts: Positive = 3
    """Wrong passwords before the next try has to wait: 1, 2, 4 … seconds, 5 minutes at most."""
    registrations_per_hour: Limit = 30
    """Registrations by one address, times five. 0: any number."""
    searches_per_minute: Limit = 300
    """Searches by one account; by one address five times as many. 0: any number."""
    writes_per_minute: Limit = 300
    """Requests that change something, by one account; by one address five times as many. 0: any number."""
    exports_per_minute: Limit = 20
    """Exports by one account; by one address five times as many. 0: any number."""
    requests_at_once: Positive = 256
    """Requests a web process works on; one more is answered 503 at once."""
    drain_seconds: NotNegative = 0.0
    """After a stop signal a web server is not ready (``/readyz``) for so long before it accepts no more."""
    body_bytes: Positive = 1_048_576
    """Largest body of a request: a form of eleven fields, each with 10,000 Chinese characters, is told and kept."""
    oidc_issuer: str | None = None
    """OpenID provider people may log in with, as an address. None: passwords only."""
    oidc_client_id: str | None = None
    """The name under which that provider knows Zhipei."""
    oidc_client_secret: str | None = None
    """Zhipei's secret at that provider."""
    oidc_name: str = "统一身份认证平台"
    """What people call that provider."""
    job_poll_seconds: PositiveFloat = 0.02
    """How often the worker looks for jobs in Redis."""
    job_concurrency: Positive = 10
    """Jobs one worker runs at once."""
    outbox_lease_seconds: Positive = 15
    """How long a leased outbox row is left alone before it is sent again."""
    outbox_attempts: Positive = 8
    """After so many attempts an outbox row is parked for a person to look at."""
    outbox_late_seconds: Limit = 60
    """Once background work has waited so long, needs that come by the API are answered 503. 0: never."""
    outbox_most_seconds: Limit = 86_400
    """Once it has waited so long, needs that people submit on pages are answered 503 too. 0: never."""
    shortlist_size: Positive = 20
    """Candidates stored and shown for a need."""
    explore_gap: NotNegative = 0.0
    """Candidates closer than so many points change places by chance, for learning; 2 is light, 0 leaves it to ties."""
    prices_hours: NotNegative = 24.0
    """How long the prices of a plan count for what is proposed to single needs; 0: never."""
    undo_seconds: NotNegative = 10.0
    """How long a coordinator's approval can be taken back before it is sent; 0: sent at once."""
    live_streams: Positive = 500
    """Pages that each web process tells of changes as they happen; those beyond look by the clock."""
    promote_nightly: bool = False
    """Let the nightly job move models up the ladder, a step a night, where evidence allows. False: only people do."""
    audit_days: Annotated[int, Meta(ge=180)] = 400
    """Entries of the audit trail are kept for so many days; 180 is the law's least."""
    contact_days: Positive = 1095
    """Contacts of needs are erased so many days after the last thing happened to them; 3 years: 民法典, article 188."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
    log_json: bool = True
    """Logs as JSON lines; false for reading them in a terminal."""
    debug: bool = False
    """Templates are read anew for every page, for whoever works on them."""

    @property
    def namespace(self) -> str:
        """Begins every key in Redis: ids of one database mean nothing in another, even if both share a Redis."""
        return f"zhipei:{hashlib.sha256(str(self.database_url).encode()).hexdigest()[:12]}"

    @property
    def owner_url(self) -> str:
        """PostgreSQL as whoever may change the schema."""
        assert self.database_url is not None
        return self.migrate_url or self.database_url

    @property
    def own_words(self) -> Path:
        """Folder of this installation's own words; it need not exist."""
        return self.language_dir or self.data_dir / "language"

    @property
    def address(self) -> str:
        """Address people see, without a trailing slash."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


def load(environ: Mapping[str, str], **overrides: Any) -> Settings:
    """Settings from ``environ``; an override that is None is left out.

    Raises:
        SettingsError: a value does not fit, or a ``ZHIPEI_`` name is unknown; the message names the variable.
    """
    fields = {f.name: f for f in msgspec.structs.fields(Settings)}
    values: dict[str, Any] = {}
    for key, raw in environ.items():
        name = key.removeprefix(PREFIX).lower()
        if key.startswith(PREFIX) and not name.startswith("test_"):
            if name not in fields:
                raise SettingsError(f"{key}: there is no such setting; docs/operations.md lists them")
            try:
                values[name] = msgspec.convert(raw, fields[name].type, strict=False, dec_hook=_decode)
            except msgspec.ValidationError as error:
                shown = "…" if SECRET.search(name) else repr(raw)
                raise SettingsError(f"{key}={shown}: {error}") from error
    return Settings(**values | {k: v for k, v in overrides.items() if v is not None})


def _decode(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value).expanduser()
    raise NotImplementedError(kind)
