-- Personal data at rest (docs/decisions/0024-personal-data.md): sealed beside the clear columns, which are empty from now
-- on. The release before goes on with both: it reads '' where a row is sealed, and writes clear text, which the worker
-- of this release seals. The clear columns go with a later release.
SET LOCAL lock_timeout = '3s';

ALTER TABLE needs
    ADD COLUMN contact_name_sealed bytea, ADD COLUMN contact_phone_sealed bytea,
    ALTER COLUMN contact_name SET DEFAULT '', ALTER COLUMN contact_phone SET DEFAULT '';
ALTER TABLE enterprises
    ADD COLUMN contact_name_sealed bytea, ADD COLUMN contact_phone_sealed bytea,
    ALTER COLUMN contact_name SET DEFAULT '', ALTER COLUMN contact_phone SET DEFAULT '';
ALTER TABLE message_settings
    ADD COLUMN address_sealed bytea,
    DROP CONSTRAINT message_settings_address_check;

-- Who asked for the own personal data to be erased (删除个人信息). It waits while something of theirs is still open.
CREATE TABLE erasures (
    account_id bigint PRIMARY KEY REFERENCES accounts,
    asked_at timestamptz NOT NULL DEFAULT now(),
    done_at timestamptz
);
CREATE INDEX erasures_waiting ON erasures (asked_at) WHERE done_at IS NULL;

-- Of a colleague's account that was closed the event kept the login, which may be an e-mail address. It keeps the id.
ALTER TABLE enterprise_events DISABLE TRIGGER enterprise_events_immutable;
UPDATE enterprise_events v SET data = jsonb_build_object('account_id', a.id)
FROM accounts a WHERE v.action = 'close' AND a.login = v.data ->> 'login';
ALTER TABLE enterprise_events ENABLE TRIGGER enterprise_events_immutable;

-- The name under which somebody files, for those who need not know it: of a natural person it is the person's.
CREATE FUNCTION party_name(name text, kind text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE kind WHEN 'individual' THEN left(name, 1) || '**' ELSE name END;
