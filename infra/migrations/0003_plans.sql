-- Plans (整体派单方案): who would serve whom, for a node's whole queue at once, before anybody approves it.
SET LOCAL lock_timeout = '3s';

CREATE TABLE plans (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node_id bigint NOT NULL REFERENCES nodes,
    made_by bigint NOT NULL REFERENCES accounts,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    -- Needs that have their place in the plan, and those that still wait for one.
    needs_done integer NOT NULL DEFAULT 0,
    needs_left integer NOT NULL DEFAULT 0,
    content jsonb,
    -- What became of the pairs a coordinator ticked.
    outcomes jsonb NOT NULL DEFAULT '[]',
    request_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((state = 'done') = (content IS NOT NULL))
);
CREATE INDEX plans_node_id ON plans (node_id, id DESC);
