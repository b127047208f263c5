-- Plans go by what a coordinator has ruled for pairs, tell how far they are, can be cancelled, and leave prices behind by
-- which single needs are proposed until the next plan. The release that runs while this is applied knows none of the new
-- columns: their defaults are what it means.
SET LOCAL lock_timeout = '3s';

ALTER TABLE plans
    DROP CONSTRAINT plans_state_check,
    ADD CONSTRAINT plans_state_check CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
    -- What a running plan is at; needs_done and needs_left count within it.
    ADD COLUMN phase text NOT NULL DEFAULT '';

-- A coordinator's word on a pair, kept for every plan until it is taken back: this need to this offering (pin), or never
-- (bar), for a reason.
CREATE TABLE pair_rules (
    need_id bigint NOT NULL REFERENCES needs,
    offering_id bigint NOT NULL REFERENCES offerings,
    kind text NOT NULL CHECK (kind IN ('pin', 'bar')),
    reason text NOT NULL,
    made_by bigint NOT NULL REFERENCES accounts,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (need_id, offering_id),
    CHECK (kind = 'pin' OR reason <> '')
);
CREATE UNIQUE INDEX pair_rules_one_pin ON pair_rules (need_id) WHERE kind = 'pin';

-- What a node's last plan found offerings in demand to be worth to others, in the utility of its scorer.
CREATE TABLE prices (
    node_id bigint PRIMARY KEY REFERENCES nodes,
    plan_id bigint NOT NULL REFERENCES plans,
    scored_by text NOT NULL,
    calibration jsonb, -- Platt in matching/calibrate.py; NULL: utilities are shares of the score
    offerings jsonb NOT NULL, -- [{"offering_id", "price"}]; whoever is not in it costs nothing
    at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE ranking_runs
    -- The candidate that was proposed: the first, unless prices moved the proposal.
    ADD COLUMN proposed_rank integer NOT NULL DEFAULT 1 CHECK (proposed_rank >= 1),
    -- The prices the proposal was made with: {"plan_id", "at", "offerings"}.
    ADD COLUMN prices jsonb;
