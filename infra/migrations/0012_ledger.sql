-- The ledger (服务台账): figures per institution and period, closed and corrected; and supervision (台账督导) of those behind.
SET LOCAL lock_timeout = '3s';

-- the ledger -----------------------------------------------------------------------------------------------------

-- Events lie in the order of time, so a range of months is a range of blocks: this costs next to nothing to keep.
CREATE INDEX events_at ON events USING brin (at);
-- What takes back an earlier step is rare, and looked for beside every delivery and rating.
CREATE INDEX events_taken_back ON events (match_id, id) WHERE action IN ('rework', 'withhold');

-- What happened, counted. A period is 2026-07, 2026Q3 or 2026; item_code '' is all items together. Rows of items and
-- months come from events, all others are sums of them (market/ledger/queries.py).
CREATE TABLE ledger_rows (
    institution_id bigint NOT NULL, -- those of matches, which refer to it: checking each row again took a fifth of the time
    period text NOT NULL CHECK (period ~ '^[0-9]{4}(-[01][0-9]|Q[1-4])?$'),
    item_code text NOT NULL,
    -- As it stood when the period was closed; what differs now is a correction.
    frozen boolean NOT NULL,
    offered integer NOT NULL,
    accepted integer NOT NULL,
    declined integer NOT NULL,
    lapsed integer NOT NULL,
    decline_requested integer NOT NULL,
    decline_granted integer NOT NULL,
    decline_refused integer NOT NULL,
    taken_back integer NOT NULL,
    delivered integer NOT NULL,
    on_time integer NOT NULL,
    overdue integer NOT NULL,
    reworked integer NOT NULL,
    completed integer NOT NULL,
    withheld integer NOT NULL,
    rectifications integer NOT NULL,
    rectified integer NOT NULL,
    rectification_overdue integer NOT NULL,
    -- By level, 1 to 5.
    rated integer[] NOT NULL CHECK (cardinality(rated) = 5),
    -- So many deliveries (times) took so many working days (days): sums of them have exact medians.
    days integer[] NOT NULL,
    times integer[] NOT NULL,
    PRIMARY KEY (institution_id, period, item_code, frozen),
    CHECK (cardinality(days) = cardinality(times)),
    CHECK (on_time <= delivered)
);
-- Lists of institutions.
CREATE INDEX ledger_rows_listed ON ledger_rows (period, frozen, institution_id) WHERE item_code = '';

-- How far the events have been counted, and on which edition of the calendars working days were.
CREATE TABLE ledger_state (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    event_id bigint NOT NULL DEFAULT 0,
    stamp bigint NOT NULL DEFAULT 0,
    ran_at timestamptz
);
INSERT INTO ledger_state DEFAULT VALUES;

-- A province closes its months, quarters and years some working days after they end.
CREATE TABLE ledger_closings (
    region_code text NOT NULL REFERENCES regions,
    period text NOT NULL,
    closed_at timestamptz NOT NULL,
    PRIMARY KEY (region_code, period)
);
CREATE FUNCTION refuse_change_of_closed() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'figures of a closed period are never changed' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER ledger_rows_frozen BEFORE UPDATE OR DELETE ON ledger_rows
    FOR EACH ROW WHEN (OLD.frozen) EXECUTE FUNCTION refuse_change_of_closed();
CREATE TRIGGER ledger_closings_frozen BEFORE UPDATE OR DELETE ON ledger_closings
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- GB/T 2260: 440305 lies in 440000.
CREATE FUNCTION province_of(code text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN left(code, 2) || '0000';

INSERT INTO region_rules (name, region_code, working_days, set_by) VALUES
    ('ledger_close', '000000', 5, 'zhipei'),
    ('supervision_plan', '000000', 5, 'zhipei'),
    ('supervision_check', '000000', 20, 'zhipei'),
    ('supervision_close', '000000', 5, 'zhipei');

-- supervision ----------------------------------------------------------------------------------------------------

-- Below (or above) which threshold an institution is behind; least: how many cases there must be before that says
-- anything. A region without a rule of its own has that of the region above; NULL: the rule does not hold there.
CREATE TABLE supervision_rules (
    name text NOT NULL,
    region_code text NOT NULL CHECK (region_code ~ '^[0-9]{6}$'),
    region_prefix text NOT NULL GENERATED ALWAYS AS (region_prefix(region_code)) STORED,
    threshold double precision CHECK (threshold >= 0),
    least integer NOT NULL CHECK (least BETWEEN 1 AND 100000),
    set_by text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, region_code)
);
INSERT INTO supervision_rules (name, region_code, threshold, least, set_by) VALUES
    ('on_time', '000000', 0.8, 5, 'zhipei'),
    ('acceptance', '000000', 0.6, 5, 'zhipei'),
    ('satisfaction', '000000', 3.8, 5, 'zhipei'),
    ('overdue', '000000', 3, 1, 'zhipei'),
    ('rectification_overdue', '000000', 1, 1, 'zhipei'),
    ('common_declines', '000000', 3, 1, 'zhipei');

-- That an institution is behind by a rule, with the figures that said so the last time; ended when they no longer do.
CREATE TABLE supervision_flags (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    institution_id bigint NOT NULL REFERENCES institutions,
    rule text NOT NULL,
    value double precision NOT NULL,
    cases integer NOT NULL,
    threshold double precision NOT NULL,
    months text[] NOT NULL,
    raised_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
CREATE UNIQUE INDEX supervision_flags_one_open ON supervision_flags (institution_id, rule) WHERE ended_at IS NULL;

-- The same table as TRANSITIONS in market/supervision/model.py; a test holds them equal.
INSERT INTO transitions (machine, from_state, action, to_state) VALUES
    ('supervision', 'new', 'notice', 'noticed'),
    ('supervision', 'noticed', 'plan', 'planned'),
    ('supervision', 'planned', 'send_back', 'noticed'),
    ('supervision', 'planned', 'check', 'checked'),
    ('supervision', 'checked', 'send_back', 'noticed'),
    ('supervision', 'checked', 'close', 'closed'),
    ('supervision', 'noticed', 'call_off', 'closed'),
    ('supervision', 'planned', 'call_off', 'closed');

CREATE TABLE supervisions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    institution_id bigint NOT NULL REFERENCES institutions,
    node_id bigint NOT NULL REFERENCES nodes,
    state text NOT NULL,
    -- The flags that were up when the notice was given.
    reasons jsonb NOT NULL,
    -- The clock of the step that is awaited: a state of the machine 'deadline', and its moments as deadlines have them.
    clock text NOT NULL CHECK (clock IN ('running', 'reminded', 'overdue', 'escalated', 'escalated_above', 'done')),
    started_at timestamptz NOT NULL DEFAULT now(),
    days integer NOT NULL CHECK (days >= 0),
    due_at timestamptz NOT NULL,
    provisional boolean NOT NULL,
    remind_at timestamptz,
    node_at timestamptz NOT NULL,
    above_at timestamptz NOT NULL,
    stamp bigint NOT NULL, -- the edition of the calendars it was counted on
    next_at timestamptz GENERATED ALWAYS AS (
        CASE clock
            WHEN 'running' THEN coalesce(remind_at, due_at)
            WHEN 'reminded' THEN due_at
            WHEN 'overdue' THEN node_at
            WHEN 'escalated' THEN above_at
        END
    ) STORED,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((state = 'closed') = (clock = 'done')),
    CHECK (remind_at < due_at),
    CHECK (due_at <= node_at AND node_at <= above_at)
) WITH (fillfactor = 80);
-- An institution answers one at a time.
CREATE UNIQUE INDEX supervisions_one_open ON supervisions (institution_id) WHERE state <> 'closed';
CREATE INDEX supervisions_institution_id ON supervisions (institution_id, id DESC);
CREATE INDEX supervisions_next ON supervisions (next_at, id) WHERE next_at IS NOT NULL;
CREATE TRIGGER supervisions_moves BEFORE INSERT OR UPDATE OF state ON supervisions
    FOR EACH ROW EXECUTE FUNCTION refuse_illegal_move('supervision');

CREATE TABLE supervision_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    supervision_id bigint NOT NULL REFERENCES supervisions,
    machine text NOT NULL CHECK (machine IN ('supervision', 'deadline')),
    from_state text NOT NULL,
    action text NOT NULL,
    to_state text NOT NULL,
    actor_id bigint REFERENCES accounts,
    note text NOT NULL DEFAULT '',
    data jsonb NOT NULL DEFAULT '{}',
    request_id text,
    at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (machine, from_state, action, to_state)
        REFERENCES transitions (machine, from_state, action, to_state)
);
CREATE INDEX supervision_events_supervision_id ON supervision_events (supervision_id, id);
CREATE TRIGGER supervision_events_frozen BEFORE UPDATE OR DELETE ON supervision_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
