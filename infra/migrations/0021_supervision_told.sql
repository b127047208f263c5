-- Supervision and corrections of closed ledgers are told to people (market/messages/tellings.py).
SET LOCAL lock_timeout = '3s';

ALTER TABLE messages DROP CONSTRAINT messages_subject_check;
ALTER TABLE messages ADD CONSTRAINT messages_subject_check
    CHECK (subject IN ('needs', 'deadlines', 'ratings', 'lists', 'supervision', 'account'));

CREATE TRIGGER supervision_events_tell AFTER INSERT ON supervision_events
    FOR EACH ROW WHEN ((NEW.machine, NEW.action) <> ('deadline', 'recount') AND NEW.at > now() - interval '1 day')
    EXECUTE FUNCTION ask_to_tell();

-- A closed month whose figures are others now, and which they were when the institution was told: it is told again of
-- other ones only. The corrections themselves are the difference of the rows of the ledger.
CREATE TABLE ledger_corrections (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    institution_id bigint NOT NULL REFERENCES institutions,
    period text NOT NULL,
    figures text NOT NULL,
    request_id text,
    at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (institution_id, period, figures)
);
CREATE TRIGGER ledger_corrections_tell AFTER INSERT ON ledger_corrections
    FOR EACH ROW EXECUTE FUNCTION ask_to_tell();
