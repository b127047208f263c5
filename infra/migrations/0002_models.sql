-- Learned models are rows, and lists of candidates log what learning needs. The release that runs while this is applied
-- knows none of the new columns: their defaults are what it means.
SET LOCAL lock_timeout = '3s';

-- How a candidate came to its place. Those beyond the list (not shown) are a random few of the others that could have
-- served: learning needs the passed-over. Without chance in the order a place is certain.
ALTER TABLE candidates
    ADD COLUMN shown boolean NOT NULL DEFAULT true,
    ADD COLUMN propensity double precision NOT NULL DEFAULT 1 CHECK (propensity BETWEEN 0 AND 1);

CREATE TABLE models (
    version text PRIMARY KEY,
    state text NOT NULL DEFAULT 'candidate' CHECK (state IN ('candidate', 'champion', 'retired')),
    features text[] NOT NULL,
    tables jsonb NOT NULL, -- as TableModel in matching/model.py
    first_day date NOT NULL,
    last_day date NOT NULL,
    labelled_needs integer NOT NULL CHECK (labelled_needs > 0),
    metrics jsonb NOT NULL, -- as measured on the days after last_day
    failed text[] NOT NULL, -- bars of the gate that were missed
    replaces text REFERENCES models, -- the champion before; NULL: the scorecard alone
    created_at timestamptz NOT NULL DEFAULT now(),
    promoted_at timestamptz,
    CHECK (first_day <= last_day),
    CHECK ((state = 'candidate') = (promoted_at IS NULL))
);
-- At most one champion ranks.
CREATE UNIQUE INDEX models_one_champion ON models (state) WHERE state = 'champion';
