-- The language an account reads in. PostgreSQL fills a constant default without rewriting the table.
SET LOCAL lock_timeout = '3s';

ALTER TABLE accounts ADD COLUMN lang text NOT NULL DEFAULT 'zh' CHECK (lang IN ('zh', 'en'));
