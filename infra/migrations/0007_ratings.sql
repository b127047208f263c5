-- Ratings (好差评), the rectifications (整改) that bad ones open, and time limits that a region may set for itself.
SET LOCAL lock_timeout = '3s';

-- time limits by region ----------------------------------------------------------------------------------------

-- The rule of the nearest region above holds; 000000 has one for every name. region_code has no foreign key: the
-- rules of the nation are here before the regions are loaded.
CREATE TABLE region_rules (
    name text NOT NULL,
    region_code text NOT NULL CHECK (region_code ~ '^[0-9]{6}$'),
    region_prefix text NOT NULL GENERATED ALWAYS AS (region_prefix(region_code)) STORED,
    working_days integer NOT NULL CHECK (working_days BETWEEN 0 AND 250),
    set_by text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, region_code)
);
INSERT INTO region_rules (name, region_code, working_days, set_by) VALUES
    ('rectification_verify', '000000', 1, 'zhipei'),
    ('rectification_rectify', '000000', 5, 'zhipei'),
    ('rectification_answer', '000000', 1, 'zhipei'),
    ('rectification_revisit', '000000', 5, 'zhipei'),
    ('rectification_close', '000000', 2, 'zhipei');

-- state machines -----------------------------------------------------------------------------------------------

-- Which machines there are is known by the tables that use them; every event refers to a transition.
ALTER TABLE transitions DROP CONSTRAINT IF EXISTS transitions_machine_check;
INSERT INTO transitions (machine, from_state, action, to_state) VALUES
    ('rating', 'new', 'rate', 'published'),
    ('rating', 'published', 'add_remark', 'published'),
    ('rating', 'reported', 'add_remark', 'reported'),
    ('rating', 'kept', 'add_remark', 'kept'),
    ('rating', 'published', 'reply', 'published'),
    ('rating', 'reported', 'reply', 'reported'),
    ('rating', 'kept', 'reply', 'kept'),
    ('rating', 'published', 'report', 'reported'),
    ('rating', 'reported', 'keep', 'kept'),
    ('rating', 'reported', 'withhold', 'withheld'),
    ('rectification', 'new', 'open', 'verifying'),
    ('rectification', 'verifying', 'verify', 'rectifying'),
    ('rectification', 'verifying', 'dismiss', 'closed'),
    ('rectification', 'rectifying', 'rectify', 'answering'),
    ('rectification', 'answering', 'answer', 'revisiting'),
    ('rectification', 'revisiting', 'satisfied', 'closing'),
    ('rectification', 'revisiting', 'send_back', 'rectifying'),
    ('rectification', 'revisiting', 'unsatisfied', 'closing'),
    ('rectification', 'revisiting', 'close', 'closed'),
    ('rectification', 'closing', 'close', 'closed'),
    ('rectification', 'verifying', 'drop', 'closed'),
    ('rectification', 'rectifying', 'drop', 'closed'),
    ('rectification', 'answering', 'drop', 'closed'),
    ('rectification', 'revisiting', 'drop', 'closed'),
    ('rectification', 'closing', 'drop', 'closed');

-- Steps of a rating belong to the match that was rated. NOT VALID spares a scan of all events: those there are obey the
-- old rule, which is narrower.
ALTER TABLE events DROP CONSTRAINT events_check;
ALTER TABLE events ADD CONSTRAINT events_match_id_check CHECK ((machine = 'need') = (match_id IS NULL)) NOT VALID;
-- Not satisfied with what was done: it goes back to the institution once.
CREATE UNIQUE INDEX events_send_back_once ON events (match_id) WHERE machine = 'rectification' AND action = 'send_back';

-- ratings ------------------------------------------------------------------------------------------------------

CREATE TABLE ratings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Once per service.
    match_id bigint NOT NULL UNIQUE REFERENCES matches,
    institution_id bigint NOT NULL REFERENCES institutions,
    offering_id bigint NOT NULL REFERENCES offerings,
    state text NOT NULL,
    level smallint NOT NULL CHECK (level BETWEEN 1 AND 5),
    indicators text[] NOT NULL,
    remark text NOT NULL CHECK (char_length(remark) <= 2000),
    anonymous boolean NOT NULL,
    rated_by bigint NOT NULL REFERENCES accounts,
    -- A clerk wrote down what somebody at the counter said.
    on_behalf boolean NOT NULL,
    -- Keyed hash of the address it came from, to notice many from one; NULL where it was on_behalf.
    source bytea,
    later_remark text CHECK (char_length(later_remark) <= 2000),
    reply text CHECK (char_length(reply) <= 2000),
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE INDEX ratings_institution_id ON ratings (institution_id, id DESC);
CREATE INDEX ratings_reported ON ratings (id) WHERE state = 'reported';
CREATE INDEX ratings_created_at ON ratings (created_at);
CREATE TRIGGER ratings_moves BEFORE INSERT OR UPDATE OF state ON ratings
    FOR EACH ROW EXECUTE FUNCTION refuse_illegal_move('rating');
-- What was said stays said: nobody edits a rating, least of all the rated.
CREATE TRIGGER ratings_frozen BEFORE DELETE OR UPDATE OF match_id, institution_id, offering_id, level, indicators, remark,
    anonymous, rated_by, on_behalf, source, created_at ON ratings
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ratings_one_later_remark BEFORE UPDATE OF later_remark ON ratings
    FOR EACH ROW WHEN (OLD.later_remark <> NEW.later_remark) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ratings_one_reply BEFORE UPDATE OF reply ON ratings
    FOR EACH ROW WHEN (OLD.reply <> NEW.reply) EXECUTE FUNCTION refuse_change();

-- How many ratings of each level, 1 to 5; kept by ratings_count. One withheld does not count.
ALTER TABLE offerings ADD COLUMN rated integer[] NOT NULL DEFAULT '{0,0,0,0,0}' CHECK (cardinality(rated) = 5);

CREATE FUNCTION count_rating() RETURNS trigger
    LANGUAGE plpgsql AS $$
DECLARE
    change integer := CASE WHEN NEW.state = 'withheld' THEN -1 WHEN TG_OP = 'INSERT' THEN 1 ELSE 0 END;
BEGIN
    IF change <> 0 THEN
        UPDATE offerings SET rated[NEW.level] = rated[NEW.level] + change WHERE id = NEW.offering_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER ratings_count AFTER INSERT OR UPDATE OF state ON ratings
    FOR EACH ROW EXECUTE FUNCTION count_rating();

-- rectifications -----------------------------------------------------------------------------------------------

CREATE TABLE rectifications (
    rating_id bigint PRIMARY KEY REFERENCES ratings,
    state text NOT NULL,
    -- Of the step that is awaited; none once it is closed.
    due_at timestamptz,
    due_provisional boolean NOT NULL DEFAULT false,
    -- What the institution told whoever rated, the last time.
    answer text CHECK (char_length(answer) <= 2000),
    -- What whoever rated said of it; NULL: nobody has asked, or been answered.
    satisfied boolean,
    CHECK ((state = 'closed') = (due_at IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX rectifications_open ON rectifications (due_at) WHERE state <> 'closed';
CREATE TRIGGER rectifications_moves BEFORE INSERT OR UPDATE OF state ON rectifications
    FOR EACH ROW EXECUTE FUNCTION refuse_illegal_move('rectification');
