-- The audit trail (审计): who did what, from where, and when. Rows are only ever added. They are written by the transaction
-- that does what they tell, unchained, so that transactions do not wait for each other; a job chains them afterwards.
SET LOCAL lock_timeout = '3s';

CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor_id bigint, -- no reference: the trail outlives accounts
    role text NOT NULL, -- of the account then; 'nobody', 'terminal', 'worker'
    action text NOT NULL,
    object text NOT NULL DEFAULT '', -- 'need:7'; never a name
    request_id text,
    address text, -- keyed hash: tells whether two requests came from one place
    data jsonb NOT NULL DEFAULT '{}', -- nothing personal
    -- By this a row is known to be of a transaction that has ended: see seal in market/audit/service.py.
    transaction bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint
);
CREATE INDEX audit_transaction ON audit (transaction);
CREATE INDEX audit_object ON audit (object, id DESC);
CREATE INDEX audit_actor_id ON audit (actor_id, id DESC);
-- Looked at twice within one request is looked at once.
CREATE UNIQUE INDEX audit_view_once ON audit (request_id, object) WHERE action = 'view';

-- The chain: each hash is of the one before and of a row.
CREATE TABLE audit_chain (
    position bigint PRIMARY KEY CHECK (position >= 1),
    audit_id bigint NOT NULL UNIQUE,
    hash bytea NOT NULL
);
-- Where the chain stood after each time it was continued. Rows of transactions before `horizon` are all in it.
CREATE TABLE audit_seals (
    position bigint PRIMARY KEY,
    hash bytea NOT NULL,
    horizon bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO audit_seals (position, hash, horizon) VALUES (0, sha256('zhipei audit'), 0);

-- Six months are the law's least (网络安全法, article 21): before that nobody deletes, whatever role asks.
CREATE TRIGGER audit_frozen BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_kept BEFORE DELETE ON audit
    FOR EACH ROW WHEN (OLD.at > now() - interval '180 days') EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_never_emptied BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_chain_frozen BEFORE UPDATE ON audit_chain FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_seals_frozen BEFORE UPDATE ON audit_seals FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- The only way for the application to delete: what was sealed more than so many days ago, up to a seal, which stays as
-- the place that the rest is verified from. How many rows.
CREATE FUNCTION forget_audit(days integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    cut bigint;
    gone bigint;
BEGIN
    IF days < 180 OR days IS NULL THEN
        RAISE EXCEPTION 'the audit trail is kept for 180 days at least' USING ERRCODE = 'check_violation';
    END IF;
    SELECT max(position) INTO cut FROM audit_seals WHERE at < now() - make_interval(days => days);
    DELETE FROM audit a USING audit_chain c WHERE c.audit_id = a.id AND c.position <= cut;
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM audit_chain WHERE position <= cut;
    DELETE FROM audit_seals WHERE position < cut;
    RETURN gone;
END $$;
REVOKE EXECUTE ON FUNCTION forget_audit(integer) FROM PUBLIC;

-- What is told of by triggers is told whatever path wrote it: pages, API, terminal or job. Who did it is in the rows, or
-- known by the program: on pages everybody changes their own account and tokens only.
-- The program at work, by the name its connections have.
CREATE FUNCTION audit_program() RETURNS text
    LANGUAGE sql STABLE
    RETURN CASE current_setting('application_name', true)
        WHEN 'zhipei-web' THEN 'nobody' WHEN 'zhipei-worker' THEN 'worker' ELSE 'terminal' END;

CREATE FUNCTION audit_step() RETURNS trigger
    LANGUAGE plpgsql AS $$
DECLARE
    facts jsonb := to_jsonb(NEW);
    actor bigint := (facts ->> 'actor_id')::bigint;
BEGIN
    INSERT INTO audit (actor_id, role, action, object, request_id, data)
    VALUES (actor, coalesce((SELECT role FROM accounts WHERE id = actor), audit_program()), TG_ARGV[0],
            TG_ARGV[1] || ':' || (facts ->> TG_ARGV[2]), facts ->> 'request_id',
            jsonb_strip_nulls(jsonb_build_object('action', facts ->> 'action', 'to_state', facts ->> 'to_state')));
    RETURN NULL;
END $$;

CREATE FUNCTION audit_account() RETURNS trigger
    LANGUAGE plpgsql AS $$
DECLARE
    facts jsonb := coalesce(to_jsonb(NEW), to_jsonb(OLD));
    before jsonb := CASE TG_OP WHEN 'UPDATE' THEN to_jsonb(OLD) ELSE '{}' END;
    account bigint := coalesce(facts ->> 'account_id', facts ->> 'id')::bigint; -- of a token or factor, its owner
    itself boolean := current_setting('application_name', true) = 'zhipei-web';
    done text := CASE
        WHEN TG_TABLE_NAME = 'second_factors' THEN CASE TG_OP WHEN 'DELETE' THEN 'drop_factor' ELSE 'add_factor' END
        WHEN TG_TABLE_NAME = 'api_tokens' THEN CASE TG_OP WHEN 'INSERT' THEN 'add_token' ELSE 'revoke_token' END
        WHEN TG_OP = 'INSERT' THEN 'add_account'
        WHEN before ->> 'disabled_at' IS DISTINCT FROM facts ->> 'disabled_at' THEN
            CASE WHEN facts ->> 'disabled_at' IS NULL THEN 'enable_account' ELSE 'disable_account' END
        WHEN before ->> 'role' <> facts ->> 'role' THEN 'change_role'
        ELSE 'set_password' END;
BEGIN
    -- A password hashed anew on logging in, because hashing has become dearer, is the same password.
    IF done = 'set_password' AND facts ->> 'session_epoch' = before ->> 'session_epoch' THEN
        RETURN NULL;
    END IF;
    INSERT INTO audit (actor_id, role, action, object, data)
    VALUES (CASE WHEN itself THEN account END,
            CASE WHEN itself THEN (SELECT role FROM accounts WHERE id = account) ELSE audit_program() END,
            done, 'account:' || account,
            CASE TG_TABLE_NAME WHEN 'api_tokens' THEN jsonb_build_object('token', facts -> 'id')
                               WHEN 'accounts' THEN jsonb_build_object('role', facts ->> 'role') ELSE '{}' END);
    RETURN NULL;
END $$;

CREATE TRIGGER item_events_audit AFTER INSERT ON item_events
    FOR EACH ROW EXECUTE FUNCTION audit_step('list_step', 'revision', 'revision_id');
CREATE TRIGGER model_steps_audit AFTER INSERT ON model_steps
    FOR EACH ROW EXECUTE FUNCTION audit_step('model_step', 'model', 'version');
CREATE TRIGGER accounts_audit AFTER INSERT ON accounts FOR EACH ROW EXECUTE FUNCTION audit_account();
CREATE TRIGGER accounts_audit_change AFTER UPDATE OF password_hash, disabled_at, role ON accounts
    FOR EACH ROW WHEN (OLD.password_hash <> NEW.password_hash OR OLD.disabled_at IS DISTINCT FROM NEW.disabled_at
                       OR OLD.role <> NEW.role)
    EXECUTE FUNCTION audit_account();
CREATE TRIGGER api_tokens_audit AFTER INSERT ON api_tokens FOR EACH ROW EXECUTE FUNCTION audit_account();
CREATE TRIGGER api_tokens_audit_revoked AFTER UPDATE OF revoked_at ON api_tokens
    FOR EACH ROW WHEN (OLD.revoked_at IS DISTINCT FROM NEW.revoked_at) EXECUTE FUNCTION audit_account();
CREATE TRIGGER second_factors_audit AFTER UPDATE OF confirmed_at ON second_factors
    FOR EACH ROW WHEN (OLD.confirmed_at IS DISTINCT FROM NEW.confirmed_at) EXECUTE FUNCTION audit_account();
CREATE TRIGGER second_factors_audit_dropped AFTER DELETE ON second_factors
    FOR EACH ROW WHEN (OLD.confirmed_at IS NOT NULL) EXECUTE FUNCTION audit_account();

-- What an API token may do at most (market/permissions.py); empty: all that its account may.
ALTER TABLE api_tokens ADD COLUMN scopes text[] NOT NULL DEFAULT '{}';
