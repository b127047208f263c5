-- The coordinator's queue: filters kept per account, decisions that can still be taken back, understanding corrected.
SET LOCAL lock_timeout = '3s';

CREATE TABLE saved_filters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 30),
    query text NOT NULL CHECK (length(query) <= 2000), -- of the queue's address
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (account_id, name)
);

-- A decision that was made and is not sent yet; the outbox row that sends it names it by its id. One at a time for a
-- need. What could not be sent when its time came stays here with the reason, until its author has read it.
CREATE TABLE held_decisions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    need_id bigint NOT NULL UNIQUE REFERENCES needs,
    actor_id bigint NOT NULL REFERENCES accounts,
    match_id bigint REFERENCES matches, -- the proposal approved, or
    offering_id bigint REFERENCES offerings, -- the candidate chosen instead of it, with the reason
    reason text NOT NULL DEFAULT '',
    made_at timestamptz NOT NULL DEFAULT now(),
    send_at timestamptz NOT NULL,
    failed text NOT NULL DEFAULT '', -- why it could not be sent
    CHECK ((match_id IS NULL) <> (offering_id IS NULL))
);
CREATE INDEX held_decisions_actor_id ON held_decisions (actor_id);

-- What a coordinator corrected of the kinds of right that were read from the text; empty: as read.
ALTER TABLE needs ADD COLUMN rights text[] NOT NULL DEFAULT '{}';
