-- Messages to people: in-app, by mail and by webhook, once (docs/decisions/0019-messages.md).
SET LOCAL lock_timeout = '3s';

-- What one account was told of. Its words are put together when they are read, in the reader's language.
CREATE TABLE messages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts,
    source text NOT NULL,
    source_id bigint NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL CHECK (subject IN ('needs', 'deadlines', 'ratings', 'lists', 'account')),
    urgent boolean NOT NULL,
    need_id bigint REFERENCES needs,
    data jsonb NOT NULL DEFAULT '{}',
    at timestamptz NOT NULL DEFAULT now(),
    read_at timestamptz,
    for_digest boolean NOT NULL DEFAULT false,
    digest_id bigint
) WITH (fillfactor = 85);
-- Nobody is told of one thing twice, however often it is handled.
CREATE UNIQUE INDEX messages_once ON messages (source, source_id, account_id);
CREATE INDEX messages_account_id ON messages (account_id, id);
CREATE INDEX messages_unread ON messages (account_id, id) WHERE read_at IS NULL;
CREATE INDEX messages_for_digest ON messages (account_id) WHERE for_digest;
CREATE INDEX messages_digest_id ON messages (digest_id) WHERE digest_id IS NOT NULL;
CREATE INDEX messages_old ON messages (at) WHERE read_at IS NOT NULL;

-- What goes out of the house: a row a message and channel, a digest, a test, or a letter that asks to confirm an address.
CREATE TABLE deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts,
    channel text NOT NULL CHECK (channel IN ('mail', 'webhook')),
    purpose text NOT NULL CHECK (purpose IN ('message', 'digest', 'confirm', 'test')),
    message_id bigint REFERENCES messages ON DELETE CASCADE,
    day date,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'parked', 'dropped')),
    next_at timestamptz NOT NULL DEFAULT now(),
    leased_until timestamptz NOT NULL DEFAULT '-infinity',
    attempt integer NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    CHECK ((purpose = 'message') = (message_id IS NOT NULL)),
    CHECK ((purpose = 'digest') = (day IS NOT NULL)),
    CHECK ((state = 'waiting') = (ended_at IS NULL))
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX deliveries_once ON deliveries (message_id, channel) WHERE message_id IS NOT NULL;
CREATE UNIQUE INDEX deliveries_one_digest ON deliveries (account_id, day) WHERE day IS NOT NULL;
CREATE INDEX deliveries_due ON deliveries (channel, next_at) WHERE state = 'waiting';
CREATE INDEX deliveries_account_id ON deliveries (account_id, id);
CREATE INDEX deliveries_parked ON deliveries (id) WHERE state = 'parked';

-- What an account chose; none: the defaults. ``mail_key`` signs the links in its letters, and changes with the address.
CREATE TABLE message_settings (
    account_id bigint PRIMARY KEY REFERENCES accounts,
    address text CHECK (char_length(address) BETWEEN 3 AND 254),
    mail_key bytea CHECK (octet_length(mail_key) = 32),
    confirmed_at timestamptz,
    choices jsonb NOT NULL DEFAULT '{}',
    quiet_from time NOT NULL DEFAULT '22:00',
    quiet_to time NOT NULL DEFAULT '08:00',
    CHECK ((address IS NULL) = (mail_key IS NULL)),
    CHECK (confirmed_at IS NULL OR address IS NOT NULL)
);

CREATE TABLE webhooks (
    account_id bigint PRIMARY KEY REFERENCES accounts,
    url text NOT NULL CHECK (char_length(url) <= 500),
    secret bytea NOT NULL CHECK (octet_length(secret) = 32),
    subjects text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    failing_since timestamptz,
    disabled_at timestamptz
);

-- Whom a message is for is found by what the account belongs to.
CREATE INDEX accounts_enterprise_id ON accounts (enterprise_id) WHERE enterprise_id IS NOT NULL;
CREATE INDEX accounts_institution_id ON accounts (institution_id) WHERE institution_id IS NOT NULL;
CREATE INDEX accounts_node_id ON accounts (node_id) WHERE node_id IS NOT NULL;

-- Every event asks to be told, whatever path wrote it; who is told is the table in market/messages/tellings.py. Left out
-- is what comes by the thousand and is told to nobody (a test holds it so), and what is written down of the past.
CREATE FUNCTION ask_to_tell() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (topic, payload, request_id)
    VALUES ('tell', jsonb_build_object('source', TG_TABLE_NAME, 'id', NEW.id), NEW.request_id);
    RETURN NULL;
END $$;
CREATE TRIGGER events_tell AFTER INSERT ON events
    FOR EACH ROW WHEN (
        (NEW.machine, NEW.action) NOT IN (('need', 'submit'), ('match', 'propose'), ('deadline', 'recount'))
        AND NEW.at > now() - interval '1 day')
    EXECUTE FUNCTION ask_to_tell();
CREATE TRIGGER item_events_tell AFTER INSERT ON item_events
    FOR EACH ROW WHEN (NEW.action NOT IN ('draft', 'save') AND NEW.at > now() - interval '1 day')
    EXECUTE FUNCTION ask_to_tell();

-- What is told is taken in batches, past relay and lease, like changes for the indexes.
CREATE INDEX outbox_tell ON outbox (id) WHERE topic = 'tell' AND parked_at IS NULL;
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (leased_until, id)
    WHERE parked_at IS NULL AND topic <> 'index' AND topic <> 'tell';
