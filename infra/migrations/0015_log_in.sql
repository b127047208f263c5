-- Log-in: sessions end by the account, second factors, identities of an OpenID provider.
SET LOCAL lock_timeout = '3s';

-- A session, a reset link and a step of logging in hold the epoch they began in: counting it up ends them all at once,
-- whatever Redis does meanwhile.
ALTER TABLE accounts ADD COLUMN session_epoch integer NOT NULL DEFAULT 0;

CREATE TABLE second_factors (
    account_id bigint PRIMARY KEY REFERENCES accounts,
    secret bytea NOT NULL, -- sealed, context "totp:{account_id}"
    -- The last 30-second step that was accepted: each counts once, and none before it.
    last_step bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    confirmed_at timestamptz -- NULL: shown as a QR code, no code typed yet; it is not asked for
);

CREATE TABLE recovery_codes (
    account_id bigint NOT NULL REFERENCES second_factors ON DELETE CASCADE,
    code_hash bytea NOT NULL,
    used_at timestamptz,
    PRIMARY KEY (account_id, code_hash)
);

CREATE TABLE identities (
    issuer text NOT NULL,
    subject text NOT NULL,
    account_id bigint NOT NULL REFERENCES accounts,
    name text NOT NULL,
    linked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (issuer, subject),
    UNIQUE (account_id, issuer)
);
