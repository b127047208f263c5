-- Search: what has to be indexed anew goes through the outbox, whoever changed it; what people look for is counted.
SET LOCAL lock_timeout = '3s';

-- Public notices (通知公告) of nodes and the province.
CREATE TABLE notices (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node_id bigint NOT NULL REFERENCES nodes,
    kind text NOT NULL CHECK (kind IN ('news', 'event', 'policy')),
    title text NOT NULL CHECK (char_length(title) BETWEEN 2 AND 100),
    body text NOT NULL CHECK (char_length(body) BETWEEN 1 AND 20000),
    state text NOT NULL DEFAULT 'published' CHECK (state IN ('published', 'withdrawn')),
    version integer NOT NULL DEFAULT 1,
    created_by bigint NOT NULL REFERENCES accounts,
    published_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX notices_published ON notices (published_at DESC, id DESC) WHERE state = 'published';

-- One row of the outbox a document. The indexer takes them in batches, so a burst costs one write to the engine.
-- NOTIFY inside the transaction makes commits wait for each other: here, where changes are few, that is no harm.
CREATE FUNCTION ask_for_index() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (topic, payload)
    VALUES ('index', jsonb_build_object('index', TG_ARGV[0], 'id', to_jsonb(NEW) ->> TG_ARGV[1]));
    IF TG_TABLE_NAME = 'offerings' THEN -- an institution is found by what it offers
        INSERT INTO outbox (topic, payload)
        VALUES ('index', jsonb_build_object('index', 'institutions', 'id', NEW.institution_id::text));
    END IF;
    PERFORM pg_notify('outbox', '');
    RETURN NULL;
END $$;
CREATE TRIGGER offerings_index_new AFTER INSERT ON offerings
    FOR EACH ROW EXECUTE FUNCTION ask_for_index('offerings', 'id');
CREATE TRIGGER offerings_index AFTER UPDATE OF state, version, rated ON offerings
    FOR EACH ROW WHEN ((OLD.state, OLD.version, OLD.rated) IS DISTINCT FROM (NEW.state, NEW.version, NEW.rated))
    EXECUTE FUNCTION ask_for_index('offerings', 'id');
CREATE TRIGGER institutions_index_new AFTER INSERT ON institutions
    FOR EACH ROW EXECUTE FUNCTION ask_for_index('institutions', 'id');
CREATE TRIGGER institutions_index AFTER UPDATE OF state, version ON institutions
    FOR EACH ROW EXECUTE FUNCTION ask_for_index('institutions', 'id');
CREATE TRIGGER service_items_index AFTER INSERT OR UPDATE OF version, withdrawn_on ON service_items
    FOR EACH ROW EXECUTE FUNCTION ask_for_index('items', 'code');
CREATE TRIGGER notices_index AFTER INSERT OR UPDATE ON notices
    FOR EACH ROW EXECUTE FUNCTION ask_for_index('notices', 'id');

-- An offering's document holds words of its institution and of its item.
CREATE FUNCTION ask_for_index_of_offerings() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'institutions' THEN
        INSERT INTO outbox (topic, payload)
        SELECT 'index', jsonb_build_object('index', 'offerings', 'id', id::text) FROM offerings
        WHERE institution_id = NEW.id AND state = 'published';
    ELSE
        INSERT INTO outbox (topic, payload)
        SELECT 'index', jsonb_build_object('index', 'offerings', 'id', id::text) FROM offerings
        WHERE item_code = NEW.code AND state = 'published';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER institutions_index_offerings AFTER UPDATE OF state, version ON institutions
    FOR EACH ROW EXECUTE FUNCTION ask_for_index_of_offerings();
CREATE TRIGGER service_items_index_offerings AFTER UPDATE OF version ON service_items
    FOR EACH ROW EXECUTE FUNCTION ask_for_index_of_offerings();
-- The indexer reads its rows in the order of their making, whatever else waits.
CREATE INDEX outbox_index ON outbox (id) WHERE topic = 'index' AND parked_at IS NULL;

-- Full rebuilds that somebody asked for, with their progress.
CREATE TABLE rebuilds (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    index_name text NOT NULL,
    reason text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    done integer NOT NULL DEFAULT 0,
    total integer NOT NULL DEFAULT 0,
    error text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
-- Who asks twice before the work has begun gets it once.
CREATE UNIQUE INDEX rebuilds_waiting ON rebuilds (index_name) WHERE state = 'waiting';

-- What people look for, by day and text; nobody's name beside it.
CREATE TABLE searches (
    day date NOT NULL,
    text text NOT NULL CHECK (char_length(text) BETWEEN 1 AND 100),
    times integer NOT NULL DEFAULT 1,
    found_nothing integer NOT NULL DEFAULT 0,
    PRIMARY KEY (day, text)
);
CREATE INDEX searches_in_vain ON searches (day) WHERE found_nothing > 0;
