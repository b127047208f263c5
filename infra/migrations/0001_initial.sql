-- The first schema. Rules that hold across rows live here, so that no code path can break them.

-- regions ------------------------------------------------------------------------------------------------------

-- GB/T 2260 codes nest by pairs of digits: 440000 ⊃ 440300 ⊃ 440305; 000000 is the whole country.
CREATE FUNCTION region_prefix(code text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN regexp_replace(code, '(00)+$', '');

CREATE TABLE regions (
    code text PRIMARY KEY CHECK (code ~ '^[0-9]{6}$'),
    name text NOT NULL,
    level smallint NOT NULL CHECK (level BETWEEN 0 AND 3),
    parent_code text REFERENCES regions,
    CHECK ((parent_code IS NULL) = (level = 0))
);
CREATE INDEX regions_parent_code ON regions (parent_code);

CREATE TABLE nodes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    region_code text NOT NULL UNIQUE REFERENCES regions,
    region_prefix text NOT NULL GENERATED ALWAYS AS (region_prefix(region_code)) STORED,
    parent_id bigint REFERENCES nodes
);

-- calendar -----------------------------------------------------------------------------------------------------

-- Only days that differ from "Monday to Friday are working days".
CREATE TABLE calendar_days (
    day date PRIMARY KEY,
    working boolean NOT NULL,
    name text NOT NULL
);

-- Years whose notice is out. A due day in any other year is provisional.
CREATE TABLE calendar_years (
    year smallint PRIMARY KEY,
    source text NOT NULL
);

-- vocabularies -------------------------------------------------------------------------------------------------

CREATE TABLE industries (
    code text PRIMARY KEY,
    name text NOT NULL,
    level text NOT NULL,
    parent_code text REFERENCES industries
);

-- Editions of the shipped facts (market/data) that were stored.
CREATE TABLE fact_editions (sha256 text PRIMARY KEY, stored_at timestamptz NOT NULL DEFAULT now());

CREATE TABLE institution_kinds (code text PRIMARY KEY, name text NOT NULL, name_en text NOT NULL);
CREATE TABLE enterprise_kinds (code text PRIMARY KEY, name text NOT NULL, name_en text NOT NULL);

-- versions -----------------------------------------------------------------------------------------------------

-- A match refers to the exact version it was made on; so a version never changes.
CREATE FUNCTION refuse_change() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% rows are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;

-- catalogue ----------------------------------------------------------------------------------------------------

CREATE TABLE service_items (
    code text PRIMARY KEY,
    number integer NOT NULL UNIQUE,
    version integer NOT NULL
);

CREATE TABLE service_item_versions (
    item_code text NOT NULL REFERENCES service_items,
    version integer NOT NULL CHECK (version >= 1),
    name text NOT NULL,
    item_group text NOT NULL,
    item_list text NOT NULL CHECK (item_list IN ('authority', 'common', 'specific')),
    rights text[] NOT NULL,
    stages text[] NOT NULL,
    aliases text[] NOT NULL,
    guide jsonb NOT NULL,
    fee text,
    handlers text[] NOT NULL,
    statutory_limit jsonb,
    promised_limit jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (item_code, version)
);
ALTER TABLE service_items ADD FOREIGN KEY (code, version) REFERENCES service_item_versions
    DEFERRABLE INITIALLY DEFERRED;
CREATE TRIGGER service_item_versions_frozen BEFORE UPDATE OR DELETE ON service_item_versions
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- enterprises and institutions -----------------------------------------------------------------------------------

CREATE TABLE enterprises (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    uscc text UNIQUE,
    kind text NOT NULL REFERENCES enterprise_kinds,
    region_code text NOT NULL REFERENCES regions,
    industry_code text REFERENCES industries,
    contact_name text NOT NULL,
    contact_phone text NOT NULL,
    demo boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (uscc IS NOT NULL OR kind = 'individual')
);

CREATE TABLE institutions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uscc text NOT NULL UNIQUE,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended')),
    version integer NOT NULL,
    demo boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE institution_versions (
    institution_id bigint NOT NULL REFERENCES institutions,
    version integer NOT NULL CHECK (version >= 1),
    name text NOT NULL,
    kind text NOT NULL REFERENCES institution_kinds,
    region_code text NOT NULL REFERENCES regions,
    address text NOT NULL,
    phone text NOT NULL,
    summary text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (institution_id, version)
);
ALTER TABLE institutions ADD FOREIGN KEY (id, version) REFERENCES institution_versions
    DEFERRABLE INITIALLY DEFERRED;
CREATE TRIGGER institution_versions_frozen BEFORE UPDATE OR DELETE ON institution_versions
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- accounts -----------------------------------------------------------------------------------------------------

CREATE TABLE accounts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login text NOT NULL UNIQUE CHECK (login = lower(login)),
    password_hash text NOT NULL,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('enterprise', 'institution', 'coordinator', 'clerk', 'admin')),
    enterprise_id bigint REFERENCES enterprises,
    institution_id bigint REFERENCES institutions,
    node_id bigint REFERENCES nodes,
    disabled_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- A role without its object, or an object without its role, would see too much or nothing.
    CHECK ((role = 'enterprise') = (enterprise_id IS NOT NULL)),
    CHECK ((role = 'institution') = (institution_id IS NOT NULL)),
    CHECK ((role IN ('coordinator', 'clerk')) = (node_id IS NOT NULL))
);

CREATE TABLE api_tokens (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts,
    name text NOT NULL,
    token_hash bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX api_tokens_account_id ON api_tokens (account_id);

-- offerings ----------------------------------------------------------------------------------------------------

CREATE TABLE offerings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    institution_id bigint NOT NULL REFERENCES institutions,
    item_code text NOT NULL REFERENCES service_items,
    state text NOT NULL CHECK (state IN ('draft', 'published', 'paused')),
    version integer NOT NULL,
    capacity integer NOT NULL CHECK (capacity >= 0),
    -- Kept by matches_count below. load: matches being served now. The rest: how they ended, since the beginning.
    load integer NOT NULL DEFAULT 0 CHECK (load >= 0),
    assigned integer NOT NULL DEFAULT 0,
    accepted integer NOT NULL DEFAULT 0,
    declined integer NOT NULL DEFAULT 0,
    delivered integer NOT NULL DEFAULT 0,
    on_time integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- Lists are ordered by a hash, so that neither the alphabet nor age gives anyone an advantage.
    sort_key text NOT NULL GENERATED ALWAYS AS (md5(id::text)) STORED,
    UNIQUE (id, institution_id)
) WITH (fillfactor = 80);
CREATE INDEX offerings_listed ON offerings (sort_key) WHERE state = 'published';
CREATE INDEX offerings_institution_id ON offerings (institution_id);
CREATE INDEX offerings_item_code ON offerings (item_code);

CREATE TABLE offering_versions (
    offering_id bigint NOT NULL REFERENCES offerings,
    version integer NOT NULL CHECK (version >= 1),
    item_code text NOT NULL,
    item_version integer NOT NULL,
    title text NOT NULL,
    summary text NOT NULL,
    guide jsonb NOT NULL,
    region_codes text[] NOT NULL CHECK (cardinality(region_codes) > 0),
    audience text[] NOT NULL,
    channels text[] NOT NULL,
    fee text NOT NULL,
    promised_days integer CHECK (promised_days >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by bigint REFERENCES accounts,
    PRIMARY KEY (offering_id, version),
    UNIQUE (offering_id, version, item_code, item_version),
    FOREIGN KEY (item_code, item_version) REFERENCES service_item_versions
);
ALTER TABLE offerings ADD FOREIGN KEY (id, version) REFERENCES offering_versions
    DEFERRABLE INITIALLY DEFERRED;
CREATE TRIGGER offering_versions_frozen BEFORE UPDATE OR DELETE ON offering_versions
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Workers keep the published offerings vectorised in memory; a new stamp tells them to read again.
CREATE TABLE catalogue_stamp (one boolean PRIMARY KEY DEFAULT true CHECK (one), stamp bigint NOT NULL);
INSERT INTO catalogue_stamp (stamp) VALUES (1);
CREATE FUNCTION move_catalogue_stamp() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalogue_stamp SET stamp = stamp + 1;
    RETURN NULL;
END $$;
CREATE TRIGGER offerings_stamp AFTER INSERT OR UPDATE OF state, version ON offerings
    FOR EACH STATEMENT EXECUTE FUNCTION move_catalogue_stamp();
CREATE TRIGGER institutions_stamp AFTER UPDATE OF state, version ON institutions
    FOR EACH STATEMENT EXECUTE FUNCTION move_catalogue_stamp();
CREATE TRIGGER service_items_stamp AFTER INSERT OR UPDATE OF version ON service_items
    FOR EACH STATEMENT EXECUTE FUNCTION move_catalogue_stamp();

-- needs, matches and their events -----------------------------------------------------------------------------------

-- The same table as TRANSITIONS in market/needs/model.py and market/matches/model.py; a test holds them equal.
CREATE TABLE transitions (
    machine text NOT NULL CHECK (machine IN ('need', 'match')),
    from_state text NOT NULL,
    action text NOT NULL,
    to_state text NOT NULL,
    PRIMARY KEY (machine, from_state, action),
    UNIQUE (machine, from_state, action, to_state)
);
INSERT INTO transitions (machine, from_state, action, to_state) VALUES
    ('need', 'new', 'submit', 'submitted'),
    ('need', 'submitted', 'propose', 'proposed'),
    ('need', 'submitted', 'find_none', 'unmatched'),
    ('need', 'proposed', 'rank_again', 'submitted'),
    ('need', 'unmatched', 'rank_again', 'submitted'),
    ('need', 'proposed', 'approve', 'assigned'),
    ('need', 'proposed', 'override', 'assigned'),
    ('need', 'unmatched', 'override', 'assigned'),
    ('need', 'assigned', 'override', 'assigned'),
    ('need', 'serving', 'override', 'assigned'),
    ('need', 'assigned', 'close', 'closed'),
    ('need', 'serving', 'close', 'closed'),
    ('need', 'delivered', 'close', 'closed'),
    ('need', 'submitted', 'return', 'returned'),
    ('need', 'proposed', 'return', 'returned'),
    ('need', 'unmatched', 'return', 'returned'),
    ('need', 'returned', 'resubmit', 'submitted'),
    ('need', 'submitted', 'escalate', 'submitted'),
    ('need', 'proposed', 'escalate', 'submitted'),
    ('need', 'unmatched', 'escalate', 'submitted'),
    ('need', 'assigned', 'accept', 'serving'),
    ('need', 'assigned', 'decline', 'submitted'),
    ('need', 'serving', 'deliver', 'delivered'),
    ('need', 'delivered', 'confirm', 'completed'),
    ('need', 'delivered', 'rework', 'serving'),
    ('need', 'submitted', 'withdraw', 'withdrawn'),
    ('need', 'unmatched', 'withdraw', 'withdrawn'),
    ('need', 'proposed', 'withdraw', 'withdrawn'),
    ('need', 'returned', 'withdraw', 'withdrawn'),
    ('need', 'assigned', 'withdraw', 'withdrawn'),
    ('need', 'submitted', 'close', 'closed'),
    ('need', 'unmatched', 'close', 'closed'),
    ('need', 'proposed', 'close', 'closed'),
    ('need', 'returned', 'close', 'closed'),
    ('match', 'new', 'propose', 'proposed'),
    ('match', 'new', 'override', 'approved'),
    ('match', 'proposed', 'approve', 'approved'),
    ('match', 'proposed', 'supersede', 'superseded'),
    ('match', 'approved', 'supersede', 'superseded'),
    ('match', 'decline_requested', 'supersede', 'superseded'),
    ('match', 'accepted', 'supersede', 'superseded'),
    ('match', 'accepted', 'cancel', 'cancelled'),
    ('match', 'delivered', 'cancel', 'cancelled'),
    ('match', 'proposed', 'cancel', 'cancelled'),
    ('match', 'approved', 'cancel', 'cancelled'),
    ('match', 'decline_requested', 'cancel', 'cancelled'),
    ('match', 'approved', 'accept', 'accepted'),
    ('match', 'decline_requested', 'accept', 'accepted'),
    ('match', 'approved', 'decline', 'declined'),
    ('match', 'approved', 'request_decline', 'decline_requested'),
    ('match', 'decline_requested', 'grant_decline', 'declined'),
    ('match', 'decline_requested', 'refuse_decline', 'approved'),
    ('match', 'accepted', 'deliver', 'delivered'),
    ('match', 'delivered', 'confirm', 'completed'),
    ('match', 'delivered', 'rework', 'accepted');

CREATE FUNCTION refuse_illegal_move() RETURNS trigger
    LANGUAGE plpgsql AS $$
DECLARE
    before text := CASE WHEN TG_OP = 'INSERT' THEN 'new' ELSE OLD.state END;
BEGIN
    IF before <> NEW.state AND NOT EXISTS (
        SELECT FROM transitions WHERE machine = TG_ARGV[0] AND from_state = before AND to_state = NEW.state
    ) THEN
        RAISE EXCEPTION 'a % cannot go from % to %', TG_ARGV[0], before, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TABLE needs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    enterprise_id bigint NOT NULL REFERENCES enterprises,
    submitted_by bigint NOT NULL REFERENCES accounts,
    channel text NOT NULL CHECK (channel IN ('online', 'counter')),
    state text NOT NULL,
    version integer NOT NULL DEFAULT 1,
    body text NOT NULL CHECK (char_length(body) BETWEEN 1 AND 5000),
    item_codes text[] NOT NULL DEFAULT '{}',
    contact_name text NOT NULL,
    contact_phone text NOT NULL,
    region_code text NOT NULL REFERENCES regions,
    node_id bigint NOT NULL REFERENCES nodes,
    owner_id bigint REFERENCES accounts,
    wanted_by date,
    understanding jsonb NOT NULL DEFAULT '{}',
    due_at timestamptz NOT NULL,
    due_provisional boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE INDEX needs_enterprise_id ON needs (enterprise_id, id DESC);
CREATE INDEX needs_submitted_by ON needs (submitted_by, id DESC);
CREATE INDEX needs_queue ON needs (node_id, state, due_at, id);
CREATE TRIGGER needs_moves BEFORE INSERT OR UPDATE OF state ON needs
    FOR EACH ROW EXECUTE FUNCTION refuse_illegal_move('need');

CREATE TABLE ranking_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    need_id bigint NOT NULL REFERENCES needs,
    need_version integer NOT NULL,
    node_id bigint NOT NULL REFERENCES nodes,
    model_version text NOT NULL,
    seed bigint NOT NULL,
    considered integer NOT NULL,
    excluded jsonb NOT NULL,
    excluded_counts jsonb NOT NULL,
    request_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (id, need_id)
);
CREATE INDEX ranking_runs_need_id ON ranking_runs (need_id, id DESC);

CREATE TABLE candidates (
    run_id bigint NOT NULL REFERENCES ranking_runs,
    rank integer NOT NULL CHECK (rank >= 1),
    offering_id bigint NOT NULL,
    offering_version integer NOT NULL,
    score double precision NOT NULL,
    parts jsonb NOT NULL,
    PRIMARY KEY (run_id, rank),
    UNIQUE (run_id, offering_id),
    FOREIGN KEY (offering_id, offering_version) REFERENCES offering_versions
);

CREATE TABLE matches (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    need_id bigint NOT NULL REFERENCES needs,
    run_id bigint NOT NULL,
    state text NOT NULL,
    offering_id bigint NOT NULL,
    offering_version integer NOT NULL,
    item_code text NOT NULL,
    item_version integer NOT NULL,
    institution_id bigint NOT NULL,
    institution_version integer NOT NULL,
    due_at timestamptz,
    due_provisional boolean NOT NULL DEFAULT false,
    result text,
    delivered_on_time boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (run_id, need_id) REFERENCES ranking_runs (id, need_id),
    FOREIGN KEY (run_id, offering_id) REFERENCES candidates (run_id, offering_id),
    FOREIGN KEY (offering_id, institution_id) REFERENCES offerings (id, institution_id),
    FOREIGN KEY (institution_id, institution_version) REFERENCES institution_versions,
    FOREIGN KEY (offering_id, offering_version, item_code, item_version)
        REFERENCES offering_versions (offering_id, version, item_code, item_version)
) WITH (fillfactor = 80);
-- At most one live match per need.
CREATE UNIQUE INDEX matches_one_live ON matches (need_id)
    WHERE state IN ('proposed', 'approved', 'decline_requested', 'accepted', 'delivered');
CREATE INDEX matches_need_id ON matches (need_id, id DESC);
CREATE INDEX matches_desk ON matches (institution_id, state, due_at);
CREATE INDEX matches_offering_id ON matches (offering_id);
CREATE TRIGGER matches_moves BEFORE INSERT OR UPDATE OF state ON matches
    FOR EACH ROW EXECUTE FUNCTION refuse_illegal_move('match');

-- A slot is held from approval until delivery. ZP001 becomes CapacityFull: the last free slot has one winner.
CREATE FUNCTION count_match() RETURNS trigger
    LANGUAGE plpgsql AS $$
DECLARE
    before text := CASE WHEN TG_OP = 'INSERT' THEN 'new' ELSE OLD.state END;
    held boolean := before IN ('approved', 'decline_requested', 'accepted');
    holds boolean := NEW.state IN ('approved', 'decline_requested', 'accepted');
    -- Reworking a delivered result takes the slot back even when the offering has filled up meanwhile.
    rework boolean := before = 'delivered' AND NEW.state = 'accepted';
BEGIN
    IF before = NEW.state OR (before = 'new' AND NEW.state = 'proposed') THEN
        RETURN NULL;
    END IF;
    UPDATE offerings SET
        load = load + holds::int - held::int,
        assigned = assigned + (NEW.state = 'approved' AND NOT held)::int,
        accepted = accepted + (NEW.state = 'accepted' AND held)::int,
        declined = declined + (NEW.state = 'declined')::int,
        delivered = delivered + (NEW.state = 'completed')::int,
        on_time = on_time + (NEW.state = 'completed' AND NEW.delivered_on_time)::int
    WHERE id = NEW.offering_id AND (NOT holds OR held OR rework OR (load < capacity AND state = 'published'));
    IF NOT FOUND THEN
        RAISE EXCEPTION 'offering % takes no more', NEW.offering_id USING ERRCODE = 'ZP001';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER matches_count AFTER INSERT OR UPDATE OF state ON matches
    FOR EACH ROW EXECUTE FUNCTION count_match();

-- Every step of a need or match, written in the transaction that makes it. The foreign key refuses an illegal move.
CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    need_id bigint NOT NULL REFERENCES needs,
    match_id bigint REFERENCES matches,
    machine text NOT NULL,
    from_state text NOT NULL,
    action text NOT NULL,
    to_state text NOT NULL,
    actor_id bigint REFERENCES accounts,
    note text NOT NULL DEFAULT '',
    data jsonb NOT NULL DEFAULT '{}',
    request_id text,
    at timestamptz NOT NULL DEFAULT now(),
    CHECK ((machine = 'match') = (match_id IS NOT NULL)),
    FOREIGN KEY (machine, from_state, action, to_state)
        REFERENCES transitions (machine, from_state, action, to_state)
);
CREATE INDEX events_need_id ON events (need_id, id);
CREATE INDEX events_approvals ON events (match_id) WHERE to_state = 'approved';
-- One-time notice (一次性告知): whatever is missing is asked for once.
CREATE UNIQUE INDEX events_return_once ON events (need_id) WHERE machine = 'need' AND action = 'return';
CREATE TRIGGER events_frozen BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- delivery -----------------------------------------------------------------------------------------------------

-- The queue of record. The job that has the effect deletes the row in the same transaction: a row that remains is
-- proof that its effect did not happen. ``attempt`` is the fencing token of a lease.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    payload jsonb NOT NULL,
    request_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    attempt integer NOT NULL DEFAULT 0,
    leased_by text,
    leased_until timestamptz NOT NULL DEFAULT '-infinity',
    parked_at timestamptz,
    last_error text
) WITH (fillfactor = 70);
CREATE INDEX outbox_due ON outbox (leased_until, id) WHERE parked_at IS NULL;

-- The answer given to an unsafe API call, stored by the transaction that did what it says.
CREATE TABLE idempotency_keys (
    account_id bigint NOT NULL REFERENCES accounts,
    key text NOT NULL CHECK (char_length(key) BETWEEN 1 AND 255),
    fingerprint bytea NOT NULL,
    status smallint NOT NULL,
    body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);
