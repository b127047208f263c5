-- Limits that were missing: the answer to a rating, the ruling on a reported one, the law's limit beside a promise. And
-- ratings by the code on a receipt, for people without an account.
SET LOCAL lock_timeout = '3s';

INSERT INTO region_rules (name, region_code, working_days, set_by) VALUES
    ('rating_reply', '000000', 5, 'zhipei'),
    ('rating_ruling', '000000', 3, 'zhipei');

ALTER TABLE deadlines DROP CONSTRAINT deadlines_kind_check;
ALTER TABLE deadlines ADD CONSTRAINT deadlines_kind_check CHECK (kind IN (
    'first_contact', 'match', 'accept', 'deliver', 'deliver_statutory', 'rating_reply', 'rating_ruling',
    'rectification_verify', 'rectification_rectify', 'rectification_answer', 'rectification_revisit',
    'rectification_close')) NOT VALID;

-- The clocks of a reply, a ruling and the law are shown from deadlines itself: no other row has their due_at.
CREATE OR REPLACE FUNCTION follow_deadline() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.kind = 'match' THEN
        UPDATE needs SET due_at = NEW.due_at, due_provisional = NEW.provisional
        WHERE id = NEW.need_id AND (due_at, due_provisional) IS DISTINCT FROM (NEW.due_at, NEW.provisional);
    ELSIF NEW.kind IN ('accept', 'deliver') THEN
        UPDATE matches SET due_at = NEW.due_at, due_provisional = NEW.provisional
        WHERE id = NEW.match_id AND (due_at, due_provisional) IS DISTINCT FROM (NEW.due_at, NEW.provisional);
    ELSIF starts_with(NEW.kind, 'rectification_') THEN
        UPDATE rectifications x SET due_at = NEW.due_at, due_provisional = NEW.provisional
        FROM ratings r WHERE r.match_id = NEW.match_id AND x.rating_id = r.id AND x.state <> 'closed'
          AND (x.due_at, x.due_provisional) IS DISTINCT FROM (NEW.due_at, NEW.provisional);
    END IF;
    RETURN NULL;
END $$;

-- As in 0008, and reports that wait for a ruling: these are due as soon as they are counted.
CREATE OR REPLACE FUNCTION adopt_deadlines() RETURNS void
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
        SELECT m.need_id, m.id, 'rectification_' || CASE x.state
                   WHEN 'verifying' THEN 'verify' WHEN 'rectifying' THEN 'rectify' WHEN 'answering' THEN 'answer'
                   WHEN 'revisiting' THEN 'revisit' ELSE 'close' END, x.due_at, x.due_provisional
        FROM rectifications x JOIN ratings r ON r.id = x.rating_id JOIN matches m ON m.id = r.match_id
        WHERE x.state <> 'closed'
        UNION ALL
        SELECT m.need_id, m.id, 'rating_ruling', now() + interval '1 second', false
        FROM ratings r JOIN matches m ON m.id = r.match_id WHERE r.state = 'reported'
    ) o
    ON CONFLICT DO NOTHING;
    -- Whoever has to answer first has a day left once it has answered.
    UPDATE deadlines d SET state = 'paused', left_days = 1
    FROM needs n WHERE n.id = d.need_id AND d.stamp = 0 AND d.state = 'running'
      AND ((d.kind = 'match' AND n.state = 'returned') OR (d.kind = 'deliver' AND n.state = 'delivered'));
END;
SELECT adopt_deadlines();

-- NULL: by the code on the receipt of a need that was filed at a counter.
ALTER TABLE ratings ALTER COLUMN rated_by DROP NOT NULL;
ALTER TABLE ratings ADD CONSTRAINT ratings_on_behalf_check CHECK (rated_by IS NOT NULL OR NOT on_behalf) NOT VALID;
-- Ratings that wait for a reply, for lists.
CREATE INDEX deadlines_replies ON deadlines (match_id) WHERE kind = 'rating_reply' AND ended_at IS NULL;
