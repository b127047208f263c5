-- The ladder of learned models: candidate → shadow → challenger → champion → retired, what those on trial would have done,
-- who moved them and why, and what the night measured. The release that runs while this is applied reads champions only.
SET LOCAL lock_timeout = '3s';

ALTER TABLE models
    ADD COLUMN state_since timestamptz NOT NULL DEFAULT now(),
    DROP CONSTRAINT models_state_check,
    DROP CONSTRAINT models_check1,
    ADD CONSTRAINT models_state_check CHECK (state IN ('candidate', 'shadow', 'challenger', 'champion', 'retired')),
    ADD CONSTRAINT models_promoted_at_check CHECK (
        CASE state WHEN 'candidate' THEN promoted_at IS NULL WHEN 'champion' THEN promoted_at IS NOT NULL ELSE true END
    );
UPDATE models SET state_since = coalesce(promoted_at, created_at);
-- One on trial at a time: a need is ranked by the champion or by one other.
CREATE UNIQUE INDEX models_one_on_trial ON models ((true)) WHERE state IN ('shadow', 'challenger');

CREATE TABLE model_steps (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version text NOT NULL REFERENCES models,
    from_state text NOT NULL,
    to_state text NOT NULL,
    actor_id bigint REFERENCES accounts, -- NULL: at the terminal, or the nightly job; `who` tells
    who text NOT NULL,
    why text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER model_steps_immutable BEFORE UPDATE OR DELETE ON model_steps FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- A ranking that two models took part in: the champion, and the one on trial. A table beside ranking_runs, because a
-- need's newest run is what its coordinator decides on.
CREATE TABLE trial_runs (
    run_id bigint PRIMARY KEY REFERENCES ranking_runs,
    version text NOT NULL REFERENCES models, -- on trial
    share double precision NOT NULL CHECK (share >= 0 AND share < 1), -- of needs that it ranks; 0: a shadow
    by_trial boolean NOT NULL, -- it made the list
    -- The probability with which each of the two shows first whom the list has first.
    champion_propensity double precision NOT NULL CHECK (champion_propensity BETWEEN 0 AND 1),
    trial_propensity double precision NOT NULL CHECK (trial_propensity BETWEEN 0 AND 1),
    overlap double precision NOT NULL CHECK (overlap BETWEEN 0 AND 1), -- of the list with that of the other model
    scores double precision[] NOT NULL, -- of the model that did not make the list, by the run's candidates.rank
    CHECK (share > 0 OR NOT by_trial)
);
CREATE INDEX trial_runs_version ON trial_runs (version, run_id);

CREATE TABLE model_health (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    measured_at timestamptz NOT NULL DEFAULT now(),
    content jsonb NOT NULL -- as Health in market/learning/model.py
);
