-- Lists (清单): revisions of service items with review and effective dates, withdrawal, what institutions take up of the
-- common list, and a public log of what changed. The release that runs while this is applied knows none of it: items it
-- writes are in force from that day, and the triggers keep the log for it.
SET LOCAL lock_timeout = '3s';

-- items ----------------------------------------------------------------------------------------------------------

ALTER TABLE service_items
    ADD COLUMN withdrawn_on date, -- the first day it is not in force any more; NULL: in force
    ADD COLUMN institution_id bigint REFERENCES institutions; -- whose specific list it is on; NULL: the province's lists
CREATE INDEX service_items_institution_id ON service_items (institution_id);

-- Versions never change, so those of before stay NULL: they took effect on the day they were written.
ALTER TABLE service_item_versions
    ADD COLUMN effective_from date,
    ADD COLUMN effective_until date, -- the last day, where that is known beforehand
    ADD CHECK (effective_until >= effective_from);

-- Where to complain or praise, as the node publishes it: for guides that say nothing of it.
ALTER TABLE nodes ADD COLUMN supervision text NOT NULL DEFAULT '';

-- revisions ------------------------------------------------------------------------------------------------------

-- Every table of events says itself which machines it knows.
ALTER TABLE transitions DROP CONSTRAINT IF EXISTS transitions_machine_check;
-- The same table as TRANSITIONS in market/lists/model.py; a test holds them equal.
INSERT INTO transitions (machine, from_state, action, to_state) VALUES
    ('item', 'new', 'draft', 'draft'),
    ('item', 'draft', 'save', 'draft'),
    ('item', 'draft', 'submit', 'in_review'),
    ('item', 'draft', 'discard', 'discarded'),
    ('item', 'in_review', 'take_back', 'draft'),
    ('item', 'in_review', 'send_back', 'draft'),
    ('item', 'in_review', 'approve', 'approved'),
    ('item', 'approved', 'take_back', 'draft'),
    ('item', 'approved', 'send_back', 'draft'),
    ('item', 'approved', 'publish', 'published');

-- A change of one item on its way to being in force: a new item, a new version, or its withdrawal.
CREATE TABLE item_revisions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    item_code text NOT NULL, -- no reference: a new item is stored when it is published
    institution_id bigint REFERENCES institutions, -- whose specific list; NULL: the province's lists
    withdraws boolean NOT NULL,
    state text NOT NULL,
    edit integer NOT NULL DEFAULT 1 CHECK (edit >= 1), -- grows with every save: nobody overwrites what he has not seen
    base_version integer NOT NULL CHECK (base_version >= 0), -- the version it starts from; 0: a new item
    content jsonb NOT NULL, -- as ItemContent in market/lists/model.py
    reason text NOT NULL,
    effective_from date, -- NULL: the day it is approved
    effective_until date,
    version integer, -- the version it became
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (effective_until >= effective_from),
    CHECK (NOT withdraws OR (base_version > 0 AND effective_until IS NULL)),
    CHECK ((state = 'published' AND NOT withdraws) = (version IS NOT NULL)),
    FOREIGN KEY (item_code, version) REFERENCES service_item_versions
);
-- Two people revise an item one after the other, not side by side.
CREATE UNIQUE INDEX item_revisions_one_open ON item_revisions (item_code)
    WHERE state IN ('draft', 'in_review', 'approved');
CREATE INDEX item_revisions_open ON item_revisions (state, institution_id) WHERE state IN ('draft', 'in_review', 'approved');
CREATE TRIGGER item_revisions_moves BEFORE INSERT OR UPDATE OF state ON item_revisions
    FOR EACH ROW EXECUTE FUNCTION refuse_illegal_move('item');

CREATE TABLE item_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    revision_id bigint NOT NULL REFERENCES item_revisions,
    machine text NOT NULL DEFAULT 'item' CHECK (machine = 'item'),
    from_state text NOT NULL,
    action text NOT NULL,
    to_state text NOT NULL,
    actor_id bigint REFERENCES accounts,
    note text NOT NULL DEFAULT '',
    data jsonb NOT NULL DEFAULT '{}', -- of a draft or save: the edit's number and its content
    request_id text,
    at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (machine, from_state, action, to_state)
        REFERENCES transitions (machine, from_state, action, to_state)
);
CREATE INDEX item_events_revision_id ON item_events (revision_id, id);
CREATE TRIGGER item_events_frozen BEFORE UPDATE OR DELETE ON item_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Four eyes: who wrote any of it does not approve it.
CREATE FUNCTION refuse_own_approval() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM item_events e WHERE e.revision_id = NEW.revision_id AND e.actor_id = NEW.actor_id
               AND e.action IN ('draft', 'save')) THEN
        RAISE EXCEPTION 'account % wrote revision % and cannot approve it', NEW.actor_id, NEW.revision_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER item_events_four_eyes BEFORE INSERT ON item_events
    FOR EACH ROW WHEN (NEW.action = 'approve') EXECUTE FUNCTION refuse_own_approval();

-- taking up the common list ----------------------------------------------------------------------------------------

-- What an institution has taken up it may not refuse (article 2); so it is never deleted.
CREATE TABLE take_ups (
    institution_id bigint NOT NULL REFERENCES institutions,
    item_code text NOT NULL REFERENCES service_items,
    taken_up_at timestamptz NOT NULL DEFAULT now(),
    actor_id bigint REFERENCES accounts, -- NULL: by publishing an offering
    PRIMARY KEY (institution_id, item_code)
);
CREATE INDEX take_ups_item_code ON take_ups (item_code);
CREATE TRIGGER take_ups_frozen BEFORE UPDATE OR DELETE ON take_ups
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
INSERT INTO take_ups (institution_id, item_code, taken_up_at)
SELECT f.institution_id, f.item_code, min(f.created_at)
FROM offerings f JOIN service_items i ON i.code = f.item_code
JOIN service_item_versions v ON v.item_code = i.code AND v.version = i.version AND v.item_list = 'common'
WHERE f.state <> 'draft' GROUP BY f.institution_id, f.item_code;

-- The ledger counts requests to decline and what became of them, by period.
CREATE INDEX events_declines ON events (at) WHERE action IN ('request_decline', 'grant_decline', 'refuse_decline');

-- what changed -----------------------------------------------------------------------------------------------------

-- The log that feeds and search indexes follow. Ids grow in the order of commits: the stamp's row, locked before an id
-- is drawn, lets those who change what is published do so one after another. So a reader who remembers the last id it
-- saw misses nothing.
ALTER TABLE catalogue_stamp ADD COLUMN moved_at timestamptz NOT NULL DEFAULT now();
CREATE OR REPLACE FUNCTION move_catalogue_stamp() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalogue_stamp SET stamp = stamp + 1, moved_at = clock_timestamp();
    RETURN NULL;
END $$;
DROP TRIGGER institutions_stamp ON institutions;
CREATE TRIGGER institutions_stamp AFTER INSERT OR UPDATE OF state, version ON institutions
    FOR EACH STATEMENT EXECUTE FUNCTION move_catalogue_stamp();
DROP TRIGGER service_items_stamp ON service_items;
CREATE TRIGGER service_items_stamp AFTER INSERT OR UPDATE OF version, withdrawn_on ON service_items
    FOR EACH STATEMENT EXECUTE FUNCTION move_catalogue_stamp();

CREATE FUNCTION hold_catalogue_stamp() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM catalogue_stamp FOR UPDATE;
    RETURN NULL;
END $$;
CREATE TRIGGER offerings_in_order BEFORE INSERT OR UPDATE OF state, version ON offerings
    FOR EACH STATEMENT EXECUTE FUNCTION hold_catalogue_stamp();
CREATE TRIGGER service_items_in_order BEFORE INSERT OR UPDATE OF version, withdrawn_on ON service_items
    FOR EACH STATEMENT EXECUTE FUNCTION hold_catalogue_stamp();

CREATE TABLE changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action text NOT NULL CHECK (action IN ('published', 'revised', 'withdrawn')),
    item_code text REFERENCES service_items,
    offering_id bigint REFERENCES offerings,
    version integer NOT NULL,
    at timestamptz NOT NULL,
    CHECK (num_nonnulls(item_code, offering_id) = 1)
);
CREATE TRIGGER changes_frozen BEFORE UPDATE OR DELETE ON changes
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
INSERT INTO changes (action, item_code, offering_id, version, at)
SELECT CASE version WHEN 1 THEN 'published' ELSE 'revised' END, item_code, offering_id, version, created_at FROM (
    SELECT item_code, NULL::bigint AS offering_id, version, created_at FROM service_item_versions
    UNION ALL
    SELECT NULL, v.offering_id, v.version, v.created_at
    FROM offering_versions v JOIN offerings f ON f.id = v.offering_id WHERE f.state <> 'draft'
) AS versions ORDER BY created_at, item_code, offering_id, version;
INSERT INTO changes (action, offering_id, version, at)
SELECT 'withdrawn', id, version, now() FROM offerings WHERE state = 'paused' ORDER BY id;

CREATE FUNCTION log_item_change() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.version = OLD.version AND NEW.withdrawn_on IS NOT DISTINCT FROM OLD.withdrawn_on THEN
        RETURN NULL;
    END IF;
    INSERT INTO changes (action, item_code, version, at)
    SELECT CASE WHEN NEW.withdrawn_on IS NOT NULL THEN 'withdrawn'
                WHEN TG_OP = 'INSERT' OR OLD.withdrawn_on IS NOT NULL THEN 'published'
                ELSE 'revised' END, NEW.code, NEW.version, now();
    RETURN NULL;
END $$;
CREATE TRIGGER service_items_log AFTER INSERT OR UPDATE OF version, withdrawn_on ON service_items
    FOR EACH ROW EXECUTE FUNCTION log_item_change();

-- Drafts are nobody's business, and a paused offering's new version is told when it is published again.
CREATE FUNCTION log_offering_change() RETURNS trigger
    LANGUAGE plpgsql AS $$
DECLARE
    was boolean := TG_OP = 'UPDATE' AND OLD.state = 'published';
    is_now boolean := NEW.state = 'published';
    first_at timestamptz := CASE WHEN TG_OP = 'INSERT' THEN NEW.created_at ELSE now() END;
BEGIN
    IF was <> is_now OR (is_now AND NEW.version <> OLD.version) THEN
        INSERT INTO changes (action, offering_id, version, at)
        VALUES (CASE WHEN NOT is_now THEN 'withdrawn' WHEN was THEN 'revised' ELSE 'published' END, NEW.id, NEW.version,
                first_at);
    END IF;
    -- Who publishes an offering under an item of the common list takes the item up.
    IF is_now THEN
        INSERT INTO take_ups (institution_id, item_code, taken_up_at)
        SELECT NEW.institution_id, i.code, first_at
        FROM service_items i JOIN service_item_versions v ON v.item_code = i.code AND v.version = i.version
        WHERE i.code = NEW.item_code AND v.item_list = 'common'
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER offerings_log AFTER INSERT OR UPDATE OF state, version ON offerings
    FOR EACH ROW EXECUTE FUNCTION log_offering_change();

-- Nothing is published under a withdrawn item. ZP002 becomes ItemWithdrawn. The stamp's row is locked by whoever
-- withdraws an item and by whoever publishes under it, so neither overlooks the other.
CREATE FUNCTION refuse_withdrawn_item() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM service_items WHERE code = NEW.item_code AND withdrawn_on IS NOT NULL) THEN
        RAISE EXCEPTION 'item % is withdrawn', NEW.item_code USING ERRCODE = 'ZP002';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER offerings_of_items_in_force BEFORE INSERT OR UPDATE OF state ON offerings
    FOR EACH ROW WHEN (NEW.state = 'published') EXECUTE FUNCTION refuse_withdrawn_item();
