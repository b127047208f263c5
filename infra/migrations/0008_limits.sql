-- Time limits (限时办结): a calendar per region, deadlines that a job moves, and the rules of the window: one owner
-- (首问负责), one notice with everything missing (一次性告知).
SET LOCAL lock_timeout = '3s';

-- calendars ----------------------------------------------------------------------------------------------------

-- A region's own days come before those of the regions above it. No foreign keys here: the nation's rows are there
-- before the regions are loaded.
ALTER TABLE calendar_days ADD COLUMN region_code text NOT NULL DEFAULT '000000' CHECK (region_code ~ '^[0-9]{6}$');
ALTER TABLE calendar_days DROP CONSTRAINT calendar_days_pkey;
ALTER TABLE calendar_days ADD PRIMARY KEY (region_code, day);

CREATE TABLE business_hours (
    region_code text PRIMARY KEY CHECK (region_code ~ '^[0-9]{6}$'),
    opens time NOT NULL,
    closes time NOT NULL,
    CHECK (opens < closes)
);
INSERT INTO business_hours (region_code, opens, closes) VALUES ('000000', '09:00', '18:00');

-- The edition of all calendars. A deadline counted on an older one is counted again before it moves.
CREATE TABLE calendar_stamp (one boolean PRIMARY KEY DEFAULT true CHECK (one), stamp bigint NOT NULL);
INSERT INTO calendar_stamp (stamp) VALUES (1);
CREATE FUNCTION move_calendar_stamp() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    UPDATE calendar_stamp SET stamp = stamp + 1;
    RETURN NULL;
END $$;
CREATE TRIGGER calendar_days_stamp AFTER INSERT OR UPDATE OR DELETE ON calendar_days
    FOR EACH STATEMENT EXECUTE FUNCTION move_calendar_stamp();
CREATE TRIGGER calendar_years_stamp AFTER INSERT OR UPDATE OR DELETE ON calendar_years
    FOR EACH STATEMENT EXECUTE FUNCTION move_calendar_stamp();
CREATE TRIGGER business_hours_stamp AFTER INSERT OR UPDATE OR DELETE ON business_hours
    FOR EACH STATEMENT EXECUTE FUNCTION move_calendar_stamp();

INSERT INTO region_rules (name, region_code, working_days, set_by) VALUES
    ('first_contact', '000000', 1, 'zhipei'),
    ('match', '000000', 3, 'zhipei'),
    ('accept', '000000', 2, 'zhipei'),
    ('remind_before', '000000', 1, 'zhipei'),
    ('escalate_after', '000000', 1, 'zhipei');

-- state machines -----------------------------------------------------------------------------------------------

ALTER TABLE transitions DROP CONSTRAINT IF EXISTS transitions_machine_check;
INSERT INTO transitions (machine, from_state, action, to_state) VALUES
    ('need', 'submitted', 'return_again', 'returned'),
    ('need', 'proposed', 'return_again', 'returned'),
    ('need', 'unmatched', 'return_again', 'returned'),
    ('need', 'assigned', 'lapse', 'submitted'),
    ('match', 'approved', 'lapse', 'lapsed'),
    ('deadline', 'new', 'start', 'running'),
    ('deadline', 'running', 'remind', 'reminded'),
    ('deadline', 'running', 'expire', 'overdue'),
    ('deadline', 'reminded', 'expire', 'overdue'),
    ('deadline', 'overdue', 'escalate', 'escalated'),
    ('deadline', 'escalated', 'escalate_above', 'escalated_above'),
    ('deadline', 'running', 'recount', 'running'),
    ('deadline', 'reminded', 'recount', 'running'),
    ('deadline', 'paused', 'resume', 'running');
-- What passes a need from hand to hand leaves it in its state.
INSERT INTO transitions (machine, from_state, action, to_state)
SELECT 'need', state, action, state
FROM unnest(ARRAY['submitted', 'unmatched', 'proposed', 'returned', 'assigned', 'serving', 'delivered']) AS state,
     unnest(ARRAY['take', 'offer', 'take_on', 'turn_down', 'call_off', 'take_over']) AS action;
INSERT INTO transitions (machine, from_state, action, to_state)
SELECT 'deadline', state, action, to_state
FROM unnest(ARRAY['running', 'reminded', 'overdue', 'escalated', 'escalated_above', 'paused']) AS state,
     (VALUES ('pause', 'paused'), ('finish', 'done'), ('cancel', 'cancelled')) AS moves (action, to_state)
WHERE state <> to_state;

-- windows ------------------------------------------------------------------------------------------------------

-- To whom the owner has offered the need; nobody else can be asked until that one has answered.
ALTER TABLE needs ADD COLUMN offered_to bigint REFERENCES accounts;
ALTER TABLE needs ADD CONSTRAINT needs_offered_to_check
    CHECK (offered_to IS NULL OR (owner_id IS NOT NULL AND offered_to <> owner_id)) NOT VALID;
-- A second notice answers an answer: one for each.
CREATE UNIQUE INDEX events_return_again ON events (need_id, (data ->> 'answer'))
    WHERE machine = 'need' AND action = 'return_again';

-- An institution that stayed silent is counted as one that declined.
CREATE OR REPLACE FUNCTION count_match() RETURNS trigger
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
        declined = declined + (NEW.state IN ('declined', 'lapsed'))::int,
        delivered = delivered + (NEW.state = 'completed')::int,
        on_time = on_time + (NEW.state = 'completed' AND NEW.delivered_on_time)::int
    WHERE id = NEW.offering_id AND (NOT holds OR held OR rework OR (load < capacity AND state = 'published'));
    IF NOT FOUND THEN
        RAISE EXCEPTION 'offering % takes no more', NEW.offering_id USING ERRCODE = 'ZP001';
    END IF;
    RETURN NULL;
END $$;

-- deadlines ----------------------------------------------------------------------------------------------------

-- One limit of one need. Its moments are counted when it starts, so that moving 100,000 of them takes no arithmetic.
CREATE TABLE deadlines (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    need_id bigint NOT NULL REFERENCES needs,
    -- Of limits that concern one match.
    match_id bigint REFERENCES matches,
    kind text NOT NULL CHECK (kind IN (
        'first_contact', 'match', 'accept', 'deliver', 'rectification_verify', 'rectification_rectify',
        'rectification_answer', 'rectification_revisit', 'rectification_close')),
    state text NOT NULL,
    -- The period: so many working days, so many months, or whichever ends first.
    started_at timestamptz NOT NULL DEFAULT now(),
    days integer CHECK (days >= 0),
    months integer CHECK (months >= 0),
    due_at timestamptz NOT NULL,
    provisional boolean NOT NULL,
    -- Before it is due, and when the node and the node above are told; NULL: there is no time for a reminder.
    remind_at timestamptz,
    node_at timestamptz NOT NULL,
    above_at timestamptz NOT NULL,
    -- Working days that were left when the clock was stopped.
    left_days integer CHECK (left_days >= 1),
    -- The edition of the calendars it was counted on.
    stamp bigint NOT NULL,
    ended_at timestamptz,
    -- The next step, if time brings one.
    next_at timestamptz GENERATED ALWAYS AS (
        CASE state
            WHEN 'running' THEN coalesce(remind_at, due_at)
            WHEN 'reminded' THEN due_at
            WHEN 'overdue' THEN node_at
            WHEN 'escalated' THEN above_at
        END
    ) STORED,
    CHECK (days IS NOT NULL OR months IS NOT NULL),
    CHECK (remind_at < due_at),
    CHECK (due_at <= node_at AND node_at <= above_at),
    CHECK ((state = 'paused') = (left_days IS NOT NULL)),
    CHECK ((state IN ('done', 'cancelled')) = (ended_at IS NOT NULL))
) WITH (fillfactor = 80);
-- What is due by now is one scan of this index.
CREATE INDEX deadlines_next ON deadlines (next_at, id) WHERE next_at IS NOT NULL;
-- A need has one limit of a kind at a time.
CREATE UNIQUE INDEX deadlines_one_live ON deadlines (need_id, kind) WHERE ended_at IS NULL;
CREATE INDEX deadlines_board ON deadlines (due_at, id) WHERE ended_at IS NULL;
CREATE INDEX deadlines_stale ON deadlines (stamp, id) WHERE state IN ('running', 'reminded');
CREATE TRIGGER deadlines_moves BEFORE INSERT OR UPDATE OF state ON deadlines
    FOR EACH ROW EXECUTE FUNCTION refuse_illegal_move('deadline');

-- Lists are ordered by the due_at of needs, matches and rectifications: it is always that of the deadline.
CREATE FUNCTION follow_deadline() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.kind = 'match' THEN
        UPDATE needs SET due_at = NEW.due_at, due_provisional = NEW.provisional
        WHERE id = NEW.need_id AND (due_at, due_provisional) IS DISTINCT FROM (NEW.due_at, NEW.provisional);
    ELSIF NEW.kind IN ('accept', 'deliver') THEN
        UPDATE matches SET due_at = NEW.due_at, due_provisional = NEW.provisional
        WHERE id = NEW.match_id AND (due_at, due_provisional) IS DISTINCT FROM (NEW.due_at, NEW.provisional);
    ELSE
        UPDATE rectifications x SET due_at = NEW.due_at, due_provisional = NEW.provisional
        FROM ratings r WHERE r.match_id = NEW.match_id AND x.rating_id = r.id AND x.state <> 'closed'
          AND (x.due_at, x.due_provisional) IS DISTINCT FROM (NEW.due_at, NEW.provisional);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER deadlines_follow AFTER INSERT OR UPDATE OF due_at, provisional ON deadlines
    FOR EACH ROW WHEN (NEW.kind <> 'first_contact') EXECUTE FUNCTION follow_deadline();

-- Steps of a deadline are told in the story of its need; of the match, where it concerns one.
ALTER TABLE events ADD COLUMN deadline_id bigint REFERENCES deadlines;
ALTER TABLE events DROP CONSTRAINT IF EXISTS events_check, DROP CONSTRAINT IF EXISTS events_match_id_check;
ALTER TABLE events ADD CONSTRAINT events_subject_check CHECK (
    CASE machine
        WHEN 'need' THEN match_id IS NULL AND deadline_id IS NULL
        WHEN 'deadline' THEN deadline_id IS NOT NULL
        ELSE match_id IS NOT NULL AND deadline_id IS NULL
    END) NOT VALID;

-- Deadlines for whatever is open and has none: what the release before this one left, and the demo's history. Counted
-- on edition 0, so that the job counts them on the calendar in force.
CREATE FUNCTION adopt_deadlines() RETURNS void
    LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO deadlines (need_id, match_id, kind, state, started_at, days, due_at, provisional, node_at, above_at,
                           left_days, stamp)
    SELECT o.need_id, o.match_id, o.kind, 'running', o.due_at - interval '1 second', 0, o.due_at, o.provisional,
           o.due_at, o.due_at, NULL, 0
    FROM (
        SELECT id AS need_id, NULL::bigint AS match_id, 'first_contact' AS kind, due_at, due_provisional AS provisional
        FROM needs WHERE owner_id IS NULL AND state IN ('submitted', 'unmatched', 'proposed')
        UNION ALL
        SELECT id, NULL, 'match', due_at, due_provisional
        FROM needs WHERE state IN ('submitted', 'unmatched', 'proposed', 'returned')
        UNION ALL
        SELECT need_id, id, CASE WHEN state IN ('approved', 'decline_requested') THEN 'accept' ELSE 'deliver' END,
               due_at, due_provisional
        FROM matches
        WHERE state IN ('approved', 'decline_requested', 'accepted', 'delivered') AND due_at IS NOT NULL
        UNION ALL
        SELECT m.need_id, m.id, CASE x.state WHEN 'verifying' THEN 'rectification_verify'
                                             WHEN 'rectifying' THEN 'rectification_rectify'
                                             WHEN 'answering' THEN 'rectification_answer'
                                             WHEN 'revisiting' THEN 'rectification_revisit'
                                             ELSE 'rectification_close' END, x.due_at, x.due_provisional
        FROM rectifications x JOIN ratings r ON r.id = x.rating_id JOIN matches m ON m.id = r.match_id
        WHERE x.state <> 'closed'
    ) o
    ON CONFLICT DO NOTHING;
    -- Whoever has to answer first has a day left once it has answered.
    UPDATE deadlines d SET state = 'paused', left_days = 1
    FROM needs n WHERE n.id = d.need_id AND d.stamp = 0 AND d.state = 'running'
      AND ((d.kind = 'match' AND n.state = 'returned') OR (d.kind = 'deliver' AND n.state = 'delivered'));
END;
SELECT adopt_deadlines();
