-- Letters on a need.
SET LOCAL lock_timeout = '3s';

-- What those whom a need concerns write to each other. ``match_id``: the match that had been approved when it was
-- written; its institution reads the letter, those before and after it do not.
CREATE TABLE need_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    need_id bigint NOT NULL REFERENCES needs,
    match_id bigint REFERENCES matches,
    author_id bigint NOT NULL REFERENCES accounts,
    text text NOT NULL CHECK (char_length(text) BETWEEN 1 AND 2000),
    at timestamptz NOT NULL DEFAULT now(),
    request_id text
);
CREATE INDEX need_letters_need_id ON need_letters (need_id, id);
-- What was said stays said.
CREATE TRIGGER need_letters_immutable BEFORE UPDATE OR DELETE ON need_letters
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER need_letters_tell AFTER INSERT ON need_letters FOR EACH ROW EXECUTE FUNCTION ask_to_tell();
