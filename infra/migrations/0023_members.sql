-- Several people of one enterprise.
SET LOCAL lock_timeout = '3s';

-- A colleague's way in: the link holds the id, sealed. It opens once, for seven days, while the inviter has an account.
CREATE TABLE invitations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    enterprise_id bigint NOT NULL REFERENCES enterprises,
    invited_by bigint NOT NULL REFERENCES accounts,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz
);

-- What an enterprise's people did to its profile and accounts.
CREATE TABLE enterprise_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    enterprise_id bigint NOT NULL REFERENCES enterprises,
    action text NOT NULL CHECK (action IN ('change', 'invite', 'join', 'close')),
    actor_id bigint NOT NULL REFERENCES accounts,
    data jsonb NOT NULL DEFAULT '{}',
    at timestamptz NOT NULL DEFAULT now(),
    request_id text
);
CREATE INDEX enterprise_events_enterprise_id ON enterprise_events (enterprise_id, id);
CREATE TRIGGER enterprise_events_immutable BEFORE UPDATE OR DELETE ON enterprise_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
