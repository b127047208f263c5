CREATE TABLE public.deadlines (
    id bigint NOT NULL,
    need_id bigint NOT NULL,
    match_id bigint,
    kind text NOT NULL,
    state text NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    days integer,
    months integer,
    due_at timestamp with time zone NOT NULL,
    provisional boolean NOT NULL,
    remind_at timestamp with time zone,
    node_at timestamp with time zone NOT NULL,
    above_at timestamp with time zone NOT NULL,
    left_days integer,
    stamp bigint NOT NULL,
    ended_at timestamp with time zone,
    next_at timestamp with time zone GENERATED ALWAYS AS (
CASE state
    WHEN 'running'::text THEN COALESCE(remind_at, due_at)
    WHEN 'reminded'::text THEN due_at
    WHEN 'overdue'::text THEN node_at
    WHEN 'escalated'::text THEN above_at
    ELSE NULL::timestamp with time zone
END) STORED,
    CONSTRAINT deadlines_check CHECK (((days IS NOT NULL) OR (months IS NOT NULL))),
    CONSTRAINT deadlines_check1 CHECK ((remind_at < due_at)),
    CONSTRAINT deadlines_check2 CHECK (((due_at <= node_at) AND (node_at <= above_at))),
    CONSTRAINT deadlines_check3 CHECK (((state = 'paused'::text) = (left_days IS NOT NULL))),
    CONSTRAINT deadlines_check4 CHECK (((state = ANY (ARRAY['done'::text, 'cancelled'::text])) = (ended_at IS NOT NULL))),
    CONSTRAINT deadlines_days_check CHECK ((days >= 0)),
    CONSTRAINT deadlines_left_days_check CHECK ((left_days >= 1)),
    CONSTRAINT deadlines_months_check CHECK ((months >= 0))
)
WITH (fillfactor='80');

CREATE TABLE public.matches (
    id bigint NOT NULL,
    need_id bigint NOT NULL,
    run_id bigint NOT NULL,
    state text NOT NULL,
    offering_id bigint NOT NULL,
    offering_version integer NOT NULL,
    item_code text NOT NULL,
    item_version integer NOT NULL,
    institution_id bigint NOT NULL,
    institution_version integer NOT NULL,
    due_at timestamp with time zone,
    due_provisional boolean DEFAULT false NOT NULL,
    result text,
    delivered_on_time boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
)
WITH (fillfactor='80');

CREATE TABLE public.needs (
    id bigint NOT NULL,
    enterprise_id bigint NOT NULL,
    submitted_by bigint NOT NULL,
    channel text NOT NULL,
    state text NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    body text NOT NULL,
    item_codes text[] DEFAULT '{}'::text[] NOT NULL,
    contact_name text DEFAULT ''::text NOT NULL,
    contact_phone text DEFAULT ''::text NOT NULL,
    region_code text NOT NULL,
    node_id bigint NOT NULL,
    owner_id bigint,
    wanted_by date,
    understanding jsonb DEFAULT '{}'::jsonb NOT NULL,
    due_at timestamp with time zone NOT NULL,
    due_provisional boolean NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    offered_to bigint,
    rights text[] DEFAULT '{}'::text[] NOT NULL,
    contact_name_sealed bytea,
    contact_phone_sealed bytea,
    CONSTRAINT needs_body_check CHECK (((char_length(body) >= 1) AND (char_length(body) <= 5000))),
    CONSTRAINT needs_channel_check CHECK ((channel = ANY (ARRAY['online'::text, 'counter'::text])))
)
WITH (fillfactor='80');

CREATE TABLE public.ratings (
    id bigint NOT NULL,
    match_id bigint NOT NULL,
    institution_id bigint NOT NULL,
    offering_id bigint NOT NULL,
    state text NOT NULL,
    level smallint NOT NULL,
    indicators text[] NOT NULL,
    remark text NOT NULL,
    anonymous boolean NOT NULL,
    rated_by bigint,
    on_behalf boolean NOT NULL,
    source bytea,
    later_remark text,
    reply text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT ratings_later_remark_check CHECK ((char_length(later_remark) <= 2000)),
    CONSTRAINT ratings_level_check CHECK (((level >= 1) AND (level <= 5))),
    CONSTRAINT ratings_remark_check CHECK ((char_length(remark) <= 2000)),
    CONSTRAINT ratings_reply_check CHECK ((char_length(reply) <= 2000))
)
WITH (fillfactor='80');

CREATE TABLE public.rectifications (
    rating_id bigint NOT NULL,
    state text NOT NULL,
    due_at timestamp with time zone,
    due_provisional boolean DEFAULT false NOT NULL,
    answer text,
    satisfied boolean,
    CONSTRAINT rectifications_answer_check CHECK ((char_length(answer) <= 2000)),
    CONSTRAINT rectifications_check CHECK (((state = 'closed'::text) = (due_at IS NULL)))
)
WITH (fillfactor='80');

CREATE FUNCTION public.adopt_deadlines() RETURNS void
    LANGUAGE sql
    BEGIN ATOMIC
 INSERT INTO public.deadlines (need_id, match_id, kind, state, started_at, days, due_at, provisional, node_at, above_at, left_days, stamp)  SELECT o.need_id,
             o.match_id,
             o.kind,
             'running',
             (o.due_at - '00:00:01'::interval),
             0,
             o.due_at,
             o.provisional,
             o.due_at,
             o.due_at,
             NULL::unknown,
             0
            FROM ( SELECT needs.id AS need_id,
                     NULL::bigint AS match_id,
                     'first_contact'::text AS kind,
                     needs.due_at,
                     needs.due_provisional AS provisional
                    FROM public.needs
                   WHERE ((needs.owner_id IS NULL) AND (needs.state = ANY (ARRAY['submitted'::text, 'unmatched'::text, 'proposed'::text])))
                 UNION ALL
                  SELECT needs.id,
                     NULL::bigint,
                     'match'::text,
                     needs.due_at,
                     needs.due_provisional
                    FROM public.needs
                   WHERE (needs.state = ANY (ARRAY['submitted'::text, 'unmatched'::text, 'proposed'::text, 'returned'::text]))
                 UNION ALL
                  SELECT matches.need_id,
                     matches.id,
                         CASE
                             WHEN (matches.state = ANY (ARRAY['approved'::text, 'decline_requested'::text])) THEN 'accept'::text
                             ELSE 'deliver'::text
                         END AS "case",
                     matches.due_at,
                     matches.due_provisional
                    FROM public.matches
                   WHERE ((matches.state = ANY (ARRAY['approved'::text, 'decline_requested'::text, 'accepted'::text, 'delivered'::text])) AND (matches.due_at IS NOT NULL))
                 UNION ALL
                  SELECT m.need_id,
                     m.id,
                     ('rectification_'::text ||
                         CASE x.state
                             WHEN 'verifying'::text THEN 'verify'::text
                             WHEN 'rectifying'::text THEN 'rectify'::text
                             WHEN 'answering'::text THEN 'answer'::text
                             WHEN 'revisiting'::text THEN 'revisit'::text
                             ELSE 'close'::text
                         END),
                     x.due_at,
                     x.due_provisional
                    FROM ((public.rectifications x
                      JOIN public.ratings r ON ((r.id = x.rating_id)))
                      JOIN public.matches m ON ((m.id = r.match_id)))
                   WHERE (x.state <> 'closed'::text)
                 UNION ALL
                  SELECT m.need_id,
                     m.id,
                     'rating_ruling'::text,
                     (now() + '00:00:01'::interval),
                     false
                    FROM (public.ratings r
                      JOIN public.matches m ON ((m.id = r.match_id)))
                   WHERE (r.state = 'reported'::text)) o ON CONFLICT DO NOTHING;
 UPDATE public.deadlines d SET state = 'paused'::text, left_days = 1
    FROM public.needs n
   WHERE ((n.id = d.need_id) AND (d.stamp = 0) AND (d.state = 'running'::text) AND (((d.kind = 'match'::text) AND (n.state = 'returned'::text)) OR ((d.kind = 'deliver'::text) AND (n.state = 'delivered'::text))));
END;

CREATE FUNCTION public.ask_for_index() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.ask_for_index_of_offerings() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.ask_to_tell() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO outbox (topic, payload, request_id)
    VALUES ('tell', jsonb_build_object('source', TG_TABLE_NAME, 'id', NEW.id), NEW.request_id);
    RETURN NULL;
END $$;

CREATE FUNCTION public.audit_account() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    facts jsonb := coalesce(to_jsonb(NEW), to_jsonb(OLD));
    before jsonb := CASE TG_OP WHEN 'UPDATE' THEN to_jsonb(OLD) ELSE '{}' END;
    account bigint := coalesce(facts ->> 'account_id', facts ->> 'id')::bigint; -- of a token or factor, its owner
    itself boolean := current_setting('application_name', true) = 'zhipei-web';
    done text := CASE
        WHEN TG_TABLE_NAME = 'second_factors' THEN CASE TG_OP WHEN 'DELETE' THEN 'drop_factor' ELSE 'add_factor' END
        WHEN TG_TABLE_NAME = 'api_tokens' THEN CASE TG_OP WHEN 'INSERT' THEN 'add_token' ELSE 'revoke_token' END
        WHEN TG_OP = 'INSERT' THEN 'add_account'
        WHEN before ->> 'disabled_at' IS DISTINCT FROM facts ->> 'disabled_at' THEN
            CASE WHEN facts ->> 'disabled_at' IS NULL THEN 'enable_account' ELSE 'disable_account' END
        WHEN before ->> 'role' <> facts ->> 'role' THEN 'change_role'
        ELSE 'set_password' END;
BEGIN
    -- A password hashed anew on logging in, because hashing has become dearer, is the same password.
    IF done = 'set_password' AND facts ->> 'session_epoch' = before ->> 'session_epoch' THEN
        RETURN NULL;
    END IF;
    INSERT INTO audit (actor_id, role, action, object, data)
    VALUES (CASE WHEN itself THEN account END,
            CASE WHEN itself THEN (SELECT role FROM accounts WHERE id = account) ELSE audit_program() END,
            done, 'account:' || account,
            CASE TG_TABLE_NAME WHEN 'api_tokens' THEN jsonb_build_object('token', facts -> 'id')
                               WHEN 'accounts' THEN jsonb_build_object('role', facts ->> 'role') ELSE '{}' END);
    RETURN NULL;
END $$;

CREATE FUNCTION public.audit_program() RETURNS text
    LANGUAGE sql STABLE
    RETURN CASE current_setting('application_name'::text, true) WHEN 'zhipei-web'::text THEN 'nobody'::text WHEN 'zhipei-worker'::text THEN 'worker'::text ELSE 'terminal'::text END;

CREATE FUNCTION public.audit_step() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    facts jsonb := to_jsonb(NEW);
    actor bigint := (facts ->> 'actor_id')::bigint;
BEGIN
    INSERT INTO audit (actor_id, role, action, object, request_id, data)
    VALUES (actor, coalesce((SELECT role FROM accounts WHERE id = actor), audit_program()), TG_ARGV[0],
            TG_ARGV[1] || ':' || (facts ->> TG_ARGV[2]), facts ->> 'request_id',
            jsonb_strip_nulls(jsonb_build_object('action', facts ->> 'action', 'to_state', facts ->> 'to_state')));
    RETURN NULL;
END $$;

CREATE FUNCTION public.count_match() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    before text := CASE WHEN TG_OP = 'INSERT' THEN 'new' ELSE OLD.state END;
    held boolean := before IN ('approved', 'decline_requested', 'accepted');
    holds boolean := NEW.state IN ('approved', 'decline_requested', 'accepted');
    -- Reworking a delivered result takes the slot back even when the offering has filled up meanwhile.
    rework boolean := before = 'delivered' AND NEW.state = 'accepted';
BEGIN
    IF before = NEW.state OR (before = 'new' AND NEW.state = 'proposed') THEN
        RETURN NULL;
    END IF;
    UPDATE offerings SET
        load = load + holds::int - held::int,
        assigned = assigned + (NEW.state = 'approved' AND NOT held)::int,
        accepted = accepted + (NEW.state = 'accepted' AND held)::int,
        declined = declined + (NEW.state IN ('declined', 'lapsed'))::int,
        delivered = delivered + (NEW.state = 'completed')::int,
        on_time = on_time + (NEW.state = 'completed' AND NEW.delivered_on_time)::int
    WHERE id = NEW.offering_id AND (NOT holds OR held OR rework OR (load < capacity AND state = 'published'));
    IF NOT FOUND THEN
        RAISE EXCEPTION 'offering % takes no more', NEW.offering_id USING ERRCODE = 'ZP001';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION public.count_rating() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    change integer := CASE WHEN NEW.state = 'withheld' THEN -1 WHEN TG_OP = 'INSERT' THEN 1 ELSE 0 END;
BEGIN
    IF change <> 0 THEN
        UPDATE offerings SET rated[NEW.level] = rated[NEW.level] + change WHERE id = NEW.offering_id;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION public.follow_deadline() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.forget_audit(days integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_temp'
    AS $$
DECLARE
    cut bigint;
    gone bigint;
BEGIN
    IF days < 180 OR days IS NULL THEN
        RAISE EXCEPTION 'the audit trail is kept for 180 days at least' USING ERRCODE = 'check_violation';
    END IF;
    SELECT max(position) INTO cut FROM audit_seals WHERE at < now() - make_interval(days => days);
    DELETE FROM audit a USING audit_chain c WHERE c.audit_id = a.id AND c.position <= cut;
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM audit_chain WHERE position <= cut;
    DELETE FROM audit_seals WHERE position < cut;
    RETURN gone;
END $$;

CREATE FUNCTION public.hold_catalogue_stamp() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM FROM catalogue_stamp FOR UPDATE;
    RETURN NULL;
END $$;

CREATE FUNCTION public.log_item_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.version = OLD.version AND NEW.withdrawn_on IS NOT DISTINCT FROM OLD.withdrawn_on THEN
        RETURN NULL;
    END IF;
    INSERT INTO changes (action, item_code, version, at)
    SELECT CASE WHEN NEW.withdrawn_on IS NOT NULL THEN 'withdrawn'
                WHEN TG_OP = 'INSERT' OR OLD.withdrawn_on IS NOT NULL THEN 'published'
                ELSE 'revised' END, NEW.code, NEW.version, now();
    RETURN NULL;
END $$;

CREATE FUNCTION public.log_offering_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    was boolean := TG_OP = 'UPDATE' AND OLD.state = 'published';
    is_now boolean := NEW.state = 'published';
    first_at timestamptz := CASE WHEN TG_OP = 'INSERT' THEN NEW.created_at ELSE now() END;
BEGIN
    IF was <> is_now OR (is_now AND NEW.version <> OLD.version) THEN
        INSERT INTO changes (action, offering_id, version, at)
        VALUES (CASE WHEN NOT is_now THEN 'withdrawn' WHEN was THEN 'revised' ELSE 'published' END, NEW.id, NEW.version,
                first_at);
    END IF;
    -- Who publishes an offering under an item of the common list takes the item up.
    IF is_now THEN
        INSERT INTO take_ups (institution_id, item_code, taken_up_at)
        SELECT NEW.institution_id, i.code, first_at
        FROM service_items i JOIN service_item_versions v ON v.item_code = i.code AND v.version = i.version
        WHERE i.code = NEW.item_code AND v.item_list = 'common'
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION public.move_calendar_stamp() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE calendar_stamp SET stamp = stamp + 1;
    RETURN NULL;
END $$;

CREATE FUNCTION public.move_catalogue_stamp() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    UPDATE catalogue_stamp SET stamp = stamp + 1, moved_at = clock_timestamp();
    RETURN NULL;
END $$;

CREATE FUNCTION public.party_name(name text, kind text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE kind WHEN 'individual'::text THEN ("left"(name, 1) || '**'::text) ELSE name END;

CREATE FUNCTION public.province_of(code text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN ("left"(code, 2) || '0000'::text);

CREATE FUNCTION public.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% rows are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION public.refuse_change_of_closed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'figures of a closed period are never changed' USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION public.refuse_illegal_move() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    before text := CASE WHEN TG_OP = 'INSERT' THEN 'new' ELSE OLD.state END;
BEGIN
    IF before <> NEW.state AND NOT EXISTS (
        SELECT FROM transitions WHERE machine = TG_ARGV[0] AND from_state = before AND to_state = NEW.state
    ) THEN
        RAISE EXCEPTION 'a % cannot go from % to %', TG_ARGV[0], before, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION public.refuse_own_approval() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF EXISTS (SELECT FROM item_events e WHERE e.revision_id = NEW.revision_id AND e.actor_id = NEW.actor_id
               AND e.action IN ('draft', 'save')) THEN
        RAISE EXCEPTION 'account % wrote revision % and cannot approve it', NEW.actor_id, NEW.revision_id
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION public.refuse_withdrawn_item() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF EXISTS (SELECT FROM service_items WHERE code = NEW.item_code AND withdrawn_on IS NOT NULL) THEN
        RAISE EXCEPTION 'item % is withdrawn', NEW.item_code USING ERRCODE = 'ZP002';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION public.region_prefix(code text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN regexp_replace(code, '(00)+$'::text, ''::text);

CREATE TABLE public.accounts (
    id bigint NOT NULL,
    login text NOT NULL,
    password_hash text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    enterprise_id bigint,
    institution_id bigint,
    node_id bigint,
    disabled_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    lang text DEFAULT 'zh'::text NOT NULL,
    session_epoch integer DEFAULT 0 NOT NULL,
    CONSTRAINT accounts_check CHECK (((role = 'enterprise'::text) = (enterprise_id IS NOT NULL))),
    CONSTRAINT accounts_check1 CHECK (((role = 'institution'::text) = (institution_id IS NOT NULL))),
    CONSTRAINT accounts_check2 CHECK (((role = ANY (ARRAY['coordinator'::text, 'clerk'::text])) = (node_id IS NOT NULL))),
    CONSTRAINT accounts_lang_check CHECK ((lang = ANY (ARRAY['zh'::text, 'en'::text]))),
    CONSTRAINT accounts_login_check CHECK ((login = lower(login))),
    CONSTRAINT accounts_role_check CHECK ((role = ANY (ARRAY['enterprise'::text, 'institution'::text, 'coordinator'::text, 'clerk'::text, 'admin'::text])))
);

ALTER TABLE public.accounts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.accounts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.api_tokens (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    name text NOT NULL,
    token_hash bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    scopes text[] DEFAULT '{}'::text[] NOT NULL
);

ALTER TABLE public.api_tokens ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.api_tokens_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.audit (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor_id bigint,
    role text NOT NULL,
    action text NOT NULL,
    object text DEFAULT ''::text NOT NULL,
    request_id text,
    address text,
    data jsonb DEFAULT '{}'::jsonb NOT NULL,
    transaction bigint DEFAULT ((pg_current_xact_id())::text)::bigint NOT NULL
);

CREATE TABLE public.audit_chain (
    "position" bigint NOT NULL,
    audit_id bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_chain_position_check CHECK (("position" >= 1))
);

ALTER TABLE public.audit ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.audit_seals (
    "position" bigint NOT NULL,
    hash bytea NOT NULL,
    horizon bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.business_hours (
    region_code text NOT NULL,
    opens time without time zone NOT NULL,
    closes time without time zone NOT NULL,
    CONSTRAINT business_hours_check CHECK ((opens < closes)),
    CONSTRAINT business_hours_region_code_check CHECK ((region_code ~ '^[0-9]{6}$'::text))
);

CREATE TABLE public.calendar_days (
    day date NOT NULL,
    working boolean NOT NULL,
    name text NOT NULL,
    region_code text DEFAULT '000000'::text NOT NULL,
    CONSTRAINT calendar_days_region_code_check CHECK ((region_code ~ '^[0-9]{6}$'::text))
);

CREATE TABLE public.calendar_stamp (
    one boolean DEFAULT true NOT NULL,
    stamp bigint NOT NULL,
    CONSTRAINT calendar_stamp_one_check CHECK (one)
);

CREATE TABLE public.calendar_years (
    year smallint NOT NULL,
    source text NOT NULL
);

CREATE TABLE public.candidates (
    run_id bigint NOT NULL,
    rank integer NOT NULL,
    offering_id bigint NOT NULL,
    offering_version integer NOT NULL,
    score double precision NOT NULL,
    parts jsonb NOT NULL,
    shown boolean DEFAULT true NOT NULL,
    propensity double precision DEFAULT 1 NOT NULL,
    CONSTRAINT candidates_propensity_check CHECK (((propensity >= (0)::double precision) AND (propensity <= (1)::double precision))),
    CONSTRAINT candidates_rank_check CHECK ((rank >= 1))
);

CREATE TABLE public.catalogue_stamp (
    one boolean DEFAULT true NOT NULL,
    stamp bigint NOT NULL,
    moved_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT catalogue_stamp_one_check CHECK (one)
);

CREATE TABLE public.changes (
    id bigint NOT NULL,
    action text NOT NULL,
    item_code text,
    offering_id bigint,
    version integer NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT changes_action_check CHECK ((action = ANY (ARRAY['published'::text, 'revised'::text, 'withdrawn'::text]))),
    CONSTRAINT changes_check CHECK ((num_nonnulls(item_code, offering_id) = 1))
);

ALTER TABLE public.changes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.changes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE public.deadlines ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.deadlines_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.deliveries (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    channel text NOT NULL,
    purpose text NOT NULL,
    message_id bigint,
    day date,
    state text DEFAULT 'waiting'::text NOT NULL,
    next_at timestamp with time zone DEFAULT now() NOT NULL,
    leased_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    last_error text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT deliveries_channel_check CHECK ((channel = ANY (ARRAY['mail'::text, 'webhook'::text]))),
    CONSTRAINT deliveries_check CHECK (((purpose = 'message'::text) = (message_id IS NOT NULL))),
    CONSTRAINT deliveries_check1 CHECK (((purpose = 'digest'::text) = (day IS NOT NULL))),
    CONSTRAINT deliveries_check2 CHECK (((state = 'waiting'::text) = (ended_at IS NULL))),
    CONSTRAINT deliveries_purpose_check CHECK ((purpose = ANY (ARRAY['message'::text, 'digest'::text, 'confirm'::text, 'test'::text]))),
    CONSTRAINT deliveries_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'sent'::text, 'parked'::text, 'dropped'::text])))
)
WITH (fillfactor='80');

ALTER TABLE public.deliveries ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.deliveries_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.enterprise_events (
    id bigint NOT NULL,
    enterprise_id bigint NOT NULL,
    action text NOT NULL,
    actor_id bigint NOT NULL,
    data jsonb DEFAULT '{}'::jsonb NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    request_id text,
    CONSTRAINT enterprise_events_action_check CHECK ((action = ANY (ARRAY['change'::text, 'invite'::text, 'join'::text, 'close'::text])))
);

ALTER TABLE public.enterprise_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.enterprise_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.enterprise_kinds (
    code text NOT NULL,
    name text NOT NULL,
    name_en text NOT NULL
);

CREATE TABLE public.enterprises (
    id bigint NOT NULL,
    name text NOT NULL,
    uscc text,
    kind text NOT NULL,
    region_code text NOT NULL,
    industry_code text,
    contact_name text DEFAULT ''::text NOT NULL,
    contact_phone text DEFAULT ''::text NOT NULL,
    demo boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    contact_name_sealed bytea,
    contact_phone_sealed bytea,
    CONSTRAINT enterprises_check CHECK (((uscc IS NOT NULL) OR (kind = 'individual'::text)))
);

ALTER TABLE public.enterprises ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.enterprises_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.erasures (
    account_id bigint NOT NULL,
    asked_at timestamp with time zone DEFAULT now() NOT NULL,
    done_at timestamp with time zone
);

CREATE TABLE public.events (
    id bigint NOT NULL,
    need_id bigint NOT NULL,
    match_id bigint,
    machine text NOT NULL,
    from_state text NOT NULL,
    action text NOT NULL,
    to_state text NOT NULL,
    actor_id bigint,
    note text DEFAULT ''::text NOT NULL,
    data jsonb DEFAULT '{}'::jsonb NOT NULL,
    request_id text,
    at timestamp with time zone DEFAULT now() NOT NULL,
    deadline_id bigint
);

ALTER TABLE public.events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.fact_editions (
    sha256 text NOT NULL,
    stored_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.held_decisions (
    id bigint NOT NULL,
    need_id bigint NOT NULL,
    actor_id bigint NOT NULL,
    match_id bigint,
    offering_id bigint,
    reason text DEFAULT ''::text NOT NULL,
    made_at timestamp with time zone DEFAULT now() NOT NULL,
    send_at timestamp with time zone NOT NULL,
    failed text DEFAULT ''::text NOT NULL,
    CONSTRAINT held_decisions_check CHECK (((match_id IS NULL) <> (offering_id IS NULL)))
);

ALTER TABLE public.held_decisions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.held_decisions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.idempotency_keys (
    account_id bigint NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    status smallint NOT NULL,
    body bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT idempotency_keys_key_check CHECK (((char_length(key) >= 1) AND (char_length(key) <= 255)))
);

CREATE TABLE public.identities (
    issuer text NOT NULL,
    subject text NOT NULL,
    account_id bigint NOT NULL,
    name text NOT NULL,
    linked_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.industries (
    code text NOT NULL,
    name text NOT NULL,
    level text NOT NULL,
    parent_code text
);

CREATE TABLE public.institution_kinds (
    code text NOT NULL,
    name text NOT NULL,
    name_en text NOT NULL
);

CREATE TABLE public.institution_versions (
    institution_id bigint NOT NULL,
    version integer NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    region_code text NOT NULL,
    address text NOT NULL,
    phone text NOT NULL,
    summary text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT institution_versions_version_check CHECK ((version >= 1))
);

CREATE TABLE public.institutions (
    id bigint NOT NULL,
    uscc text NOT NULL,
    state text DEFAULT 'active'::text NOT NULL,
    version integer NOT NULL,
    demo boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT institutions_state_check CHECK ((state = ANY (ARRAY['active'::text, 'suspended'::text])))
);

ALTER TABLE public.institutions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.institutions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.invitations (
    id bigint NOT NULL,
    enterprise_id bigint NOT NULL,
    invited_by bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    used_at timestamp with time zone
);

ALTER TABLE public.invitations ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.invitations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.item_events (
    id bigint NOT NULL,
    revision_id bigint NOT NULL,
    machine text DEFAULT 'item'::text NOT NULL,
    from_state text NOT NULL,
    action text NOT NULL,
    to_state text NOT NULL,
    actor_id bigint,
    note text DEFAULT ''::text NOT NULL,
    data jsonb DEFAULT '{}'::jsonb NOT NULL,
    request_id text,
    at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT item_events_machine_check CHECK ((machine = 'item'::text))
);

ALTER TABLE public.item_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.item_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.item_revisions (
    id bigint NOT NULL,
    item_code text NOT NULL,
    institution_id bigint,
    withdraws boolean NOT NULL,
    state text NOT NULL,
    edit integer DEFAULT 1 NOT NULL,
    base_version integer NOT NULL,
    content jsonb NOT NULL,
    reason text NOT NULL,
    effective_from date,
    effective_until date,
    version integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT item_revisions_base_version_check CHECK ((base_version >= 0)),
    CONSTRAINT item_revisions_check CHECK ((effective_until >= effective_from)),
    CONSTRAINT item_revisions_check1 CHECK (((NOT withdraws) OR ((base_version > 0) AND (effective_until IS NULL)))),
    CONSTRAINT item_revisions_check2 CHECK ((((state = 'published'::text) AND (NOT withdraws)) = (version IS NOT NULL))),
    CONSTRAINT item_revisions_edit_check CHECK ((edit >= 1))
);

ALTER TABLE public.item_revisions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.item_revisions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.ledger_closings (
    region_code text NOT NULL,
    period text NOT NULL,
    closed_at timestamp with time zone NOT NULL
);

CREATE TABLE public.ledger_corrections (
    id bigint NOT NULL,
    institution_id bigint NOT NULL,
    period text NOT NULL,
    figures text NOT NULL,
    request_id text,
    at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.ledger_corrections ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.ledger_corrections_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.ledger_rows (
    institution_id bigint NOT NULL,
    period text NOT NULL,
    item_code text NOT NULL,
    frozen boolean NOT NULL,
    offered integer NOT NULL,
    accepted integer NOT NULL,
    declined integer NOT NULL,
    lapsed integer NOT NULL,
    decline_requested integer NOT NULL,
    decline_granted integer NOT NULL,
    decline_refused integer NOT NULL,
    taken_back integer NOT NULL,
    delivered integer NOT NULL,
    on_time integer NOT NULL,
    overdue integer NOT NULL,
    reworked integer NOT NULL,
    completed integer NOT NULL,
    withheld integer NOT NULL,
    rectifications integer NOT NULL,
    rectified integer NOT NULL,
    rectification_overdue integer NOT NULL,
    rated integer[] NOT NULL,
    days integer[] NOT NULL,
    times integer[] NOT NULL,
    CONSTRAINT ledger_rows_check CHECK ((cardinality(days) = cardinality(times))),
    CONSTRAINT ledger_rows_check1 CHECK ((on_time <= delivered)),
    CONSTRAINT ledger_rows_period_check CHECK ((period ~ '^[0-9]{4}(-[01][0-9]|Q[1-4])?$'::text)),
    CONSTRAINT ledger_rows_rated_check CHECK ((cardinality(rated) = 5))
);

CREATE TABLE public.ledger_state (
    one boolean DEFAULT true NOT NULL,
    event_id bigint DEFAULT 0 NOT NULL,
    stamp bigint DEFAULT 0 NOT NULL,
    ran_at timestamp with time zone,
    CONSTRAINT ledger_state_one_check CHECK (one)
);

ALTER TABLE public.matches ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.matches_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.message_settings (
    account_id bigint NOT NULL,
    address text,
    mail_key bytea,
    confirmed_at timestamp with time zone,
    choices jsonb DEFAULT '{}'::jsonb NOT NULL,
    quiet_from time without time zone DEFAULT '22:00:00'::time without time zone NOT NULL,
    quiet_to time without time zone DEFAULT '08:00:00'::time without time zone NOT NULL,
    address_sealed bytea,
    CONSTRAINT message_settings_check CHECK (((address IS NULL) = (mail_key IS NULL))),
    CONSTRAINT message_settings_check1 CHECK (((confirmed_at IS NULL) OR (address IS NOT NULL))),
    CONSTRAINT message_settings_mail_key_check CHECK ((octet_length(mail_key) = 32))
);

CREATE TABLE public.messages (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    source text NOT NULL,
    source_id bigint NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    urgent boolean NOT NULL,
    need_id bigint,
    data jsonb DEFAULT '{}'::jsonb NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    read_at timestamp with time zone,
    for_digest boolean DEFAULT false NOT NULL,
    digest_id bigint,
    CONSTRAINT messages_subject_check CHECK ((subject = ANY (ARRAY['needs'::text, 'deadlines'::text, 'ratings'::text, 'lists'::text, 'supervision'::text, 'account'::text])))
)
WITH (fillfactor='85');

ALTER TABLE public.messages ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.messages_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.migrations (
    name text NOT NULL,
    sha256 text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.model_health (
    id bigint NOT NULL,
    measured_at timestamp with time zone DEFAULT now() NOT NULL,
    content jsonb NOT NULL
);

ALTER TABLE public.model_health ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.model_health_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.model_steps (
    id bigint NOT NULL,
    version text NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    actor_id bigint,
    who text NOT NULL,
    why text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.model_steps ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.model_steps_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.models (
    version text NOT NULL,
    state text DEFAULT 'candidate'::text NOT NULL,
    features text[] NOT NULL,
    tables jsonb NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL,
    labelled_needs integer NOT NULL,
    metrics jsonb NOT NULL,
    failed text[] NOT NULL,
    replaces text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    promoted_at timestamp with time zone,
    state_since timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT models_check CHECK ((first_day <= last_day)),
    CONSTRAINT models_labelled_needs_check CHECK ((labelled_needs > 0)),
    CONSTRAINT models_promoted_at_check CHECK (
CASE state
    WHEN 'candidate'::text THEN (promoted_at IS NULL)
    WHEN 'champion'::text THEN (promoted_at IS NOT NULL)
    ELSE true
END),
    CONSTRAINT models_state_check CHECK ((state = ANY (ARRAY['candidate'::text, 'shadow'::text, 'challenger'::text, 'champion'::text, 'retired'::text])))
);

CREATE TABLE public.need_letters (
    id bigint NOT NULL,
    need_id bigint NOT NULL,
    match_id bigint,
    author_id bigint NOT NULL,
    text text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    request_id text,
    CONSTRAINT need_letters_text_check CHECK (((char_length(text) >= 1) AND (char_length(text) <= 2000)))
);

ALTER TABLE public.need_letters ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.need_letters_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE public.needs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.needs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.nodes (
    id bigint NOT NULL,
    name text NOT NULL,
    region_code text NOT NULL,
    region_prefix text GENERATED ALWAYS AS (public.region_prefix(region_code)) STORED NOT NULL,
    parent_id bigint,
    supervision text DEFAULT ''::text NOT NULL
);

ALTER TABLE public.nodes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.nodes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.notices (
    id bigint NOT NULL,
    node_id bigint NOT NULL,
    kind text NOT NULL,
    title text NOT NULL,
    body text NOT NULL,
    state text DEFAULT 'published'::text NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    created_by bigint NOT NULL,
    published_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT notices_body_check CHECK (((char_length(body) >= 1) AND (char_length(body) <= 20000))),
    CONSTRAINT notices_kind_check CHECK ((kind = ANY (ARRAY['news'::text, 'event'::text, 'policy'::text]))),
    CONSTRAINT notices_state_check CHECK ((state = ANY (ARRAY['published'::text, 'withdrawn'::text]))),
    CONSTRAINT notices_title_check CHECK (((char_length(title) >= 2) AND (char_length(title) <= 100)))
);

ALTER TABLE public.notices ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.notices_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.offering_versions (
    offering_id bigint NOT NULL,
    version integer NOT NULL,
    item_code text NOT NULL,
    item_version integer NOT NULL,
    title text NOT NULL,
    summary text NOT NULL,
    guide jsonb NOT NULL,
    region_codes text[] NOT NULL,
    audience text[] NOT NULL,
    channels text[] NOT NULL,
    fee text NOT NULL,
    promised_days integer,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    created_by bigint,
    CONSTRAINT offering_versions_promised_days_check CHECK ((promised_days >= 0)),
    CONSTRAINT offering_versions_region_codes_check CHECK ((cardinality(region_codes) > 0)),
    CONSTRAINT offering_versions_version_check CHECK ((version >= 1))
);

CREATE TABLE public.offerings (
    id bigint NOT NULL,
    institution_id bigint NOT NULL,
    item_code text NOT NULL,
    state text NOT NULL,
    version integer NOT NULL,
    capacity integer NOT NULL,
    load integer DEFAULT 0 NOT NULL,
    assigned integer DEFAULT 0 NOT NULL,
    accepted integer DEFAULT 0 NOT NULL,
    declined integer DEFAULT 0 NOT NULL,
    delivered integer DEFAULT 0 NOT NULL,
    on_time integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    sort_key text GENERATED ALWAYS AS (md5((id)::text)) STORED NOT NULL,
    rated integer[] DEFAULT '{0,0,0,0,0}'::integer[] NOT NULL,
    CONSTRAINT offerings_capacity_check CHECK ((capacity >= 0)),
    CONSTRAINT offerings_load_check CHECK ((load >= 0)),
    CONSTRAINT offerings_rated_check CHECK ((cardinality(rated) = 5)),
    CONSTRAINT offerings_state_check CHECK ((state = ANY (ARRAY['draft'::text, 'published'::text, 'paused'::text])))
)
WITH (fillfactor='80');

ALTER TABLE public.offerings ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.offerings_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.outbox (
    id bigint NOT NULL,
    topic text NOT NULL,
    payload jsonb NOT NULL,
    request_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    leased_by text,
    leased_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    parked_at timestamp with time zone,
    last_error text
)
WITH (fillfactor='70');

ALTER TABLE public.outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.pair_rules (
    need_id bigint NOT NULL,
    offering_id bigint NOT NULL,
    kind text NOT NULL,
    reason text NOT NULL,
    made_by bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT pair_rules_check CHECK (((kind = 'pin'::text) OR (reason <> ''::text))),
    CONSTRAINT pair_rules_kind_check CHECK ((kind = ANY (ARRAY['pin'::text, 'bar'::text])))
);

CREATE TABLE public.plans (
    id bigint NOT NULL,
    node_id bigint NOT NULL,
    made_by bigint NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    needs_done integer DEFAULT 0 NOT NULL,
    needs_left integer DEFAULT 0 NOT NULL,
    content jsonb,
    outcomes jsonb DEFAULT '[]'::jsonb NOT NULL,
    request_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    phase text DEFAULT ''::text NOT NULL,
    CONSTRAINT plans_check CHECK (((state = 'done'::text) = (content IS NOT NULL))),
    CONSTRAINT plans_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'running'::text, 'done'::text, 'failed'::text, 'cancelled'::text])))
);

ALTER TABLE public.plans ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.plans_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.prices (
    node_id bigint NOT NULL,
    plan_id bigint NOT NULL,
    scored_by text NOT NULL,
    calibration jsonb,
    offerings jsonb NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.ranking_runs (
    id bigint NOT NULL,
    need_id bigint NOT NULL,
    need_version integer NOT NULL,
    node_id bigint NOT NULL,
    model_version text NOT NULL,
    seed bigint NOT NULL,
    considered integer NOT NULL,
    excluded jsonb NOT NULL,
    excluded_counts jsonb NOT NULL,
    request_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    proposed_rank integer DEFAULT 1 NOT NULL,
    prices jsonb,
    CONSTRAINT ranking_runs_proposed_rank_check CHECK ((proposed_rank >= 1))
);

ALTER TABLE public.ranking_runs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.ranking_runs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE public.ratings ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.ratings_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.rebuilds (
    id bigint NOT NULL,
    index_name text NOT NULL,
    reason text NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    done integer DEFAULT 0 NOT NULL,
    total integer DEFAULT 0 NOT NULL,
    error text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT rebuilds_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'running'::text, 'done'::text, 'failed'::text])))
);

ALTER TABLE public.rebuilds ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.rebuilds_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.recovery_codes (
    account_id bigint NOT NULL,
    code_hash bytea NOT NULL,
    used_at timestamp with time zone
);

CREATE TABLE public.region_rules (
    name text NOT NULL,
    region_code text NOT NULL,
    region_prefix text GENERATED ALWAYS AS (public.region_prefix(region_code)) STORED NOT NULL,
    working_days integer NOT NULL,
    set_by text NOT NULL,
    set_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT region_rules_region_code_check CHECK ((region_code ~ '^[0-9]{6}$'::text)),
    CONSTRAINT region_rules_working_days_check CHECK (((working_days >= 0) AND (working_days <= 250)))
);

CREATE TABLE public.regions (
    code text NOT NULL,
    name text NOT NULL,
    level smallint NOT NULL,
    parent_code text,
    CONSTRAINT regions_check CHECK (((parent_code IS NULL) = (level = 0))),
    CONSTRAINT regions_code_check CHECK ((code ~ '^[0-9]{6}$'::text)),
    CONSTRAINT regions_level_check CHECK (((level >= 0) AND (level <= 3)))
);

CREATE TABLE public.saved_filters (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    name text NOT NULL,
    query text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT saved_filters_name_check CHECK (((length(name) >= 1) AND (length(name) <= 30))),
    CONSTRAINT saved_filters_query_check CHECK ((length(query) <= 2000))
);

ALTER TABLE public.saved_filters ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.saved_filters_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.searches (
    day date NOT NULL,
    text text NOT NULL,
    times integer DEFAULT 1 NOT NULL,
    found_nothing integer DEFAULT 0 NOT NULL,
    CONSTRAINT searches_text_check CHECK (((char_length(text) >= 1) AND (char_length(text) <= 100)))
);

CREATE TABLE public.second_factors (
    account_id bigint NOT NULL,
    secret bytea NOT NULL,
    last_step bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    confirmed_at timestamp with time zone
);

CREATE TABLE public.service_item_versions (
    item_code text NOT NULL,
    version integer NOT NULL,
    name text NOT NULL,
    item_group text NOT NULL,
    item_list text NOT NULL,
    rights text[] NOT NULL,
    stages text[] NOT NULL,
    aliases text[] NOT NULL,
    guide jsonb NOT NULL,
    fee text,
    handlers text[] NOT NULL,
    statutory_limit jsonb,
    promised_limit jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    effective_from date,
    effective_until date,
    CONSTRAINT service_item_versions_check CHECK ((effective_until >= effective_from)),
    CONSTRAINT service_item_versions_item_list_check CHECK ((item_list = ANY (ARRAY['authority'::text, 'common'::text, 'specific'::text]))),
    CONSTRAINT service_item_versions_version_check CHECK ((version >= 1))
);

CREATE TABLE public.service_items (
    code text NOT NULL,
    number integer NOT NULL,
    version integer NOT NULL,
    withdrawn_on date,
    institution_id bigint
);

CREATE TABLE public.supervision_events (
    id bigint NOT NULL,
    supervision_id bigint NOT NULL,
    machine text NOT NULL,
    from_state text NOT NULL,
    action text NOT NULL,
    to_state text NOT NULL,
    actor_id bigint,
    note text DEFAULT ''::text NOT NULL,
    data jsonb DEFAULT '{}'::jsonb NOT NULL,
    request_id text,
    at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT supervision_events_machine_check CHECK ((machine = ANY (ARRAY['supervision'::text, 'deadline'::text])))
);

ALTER TABLE public.supervision_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.supervision_events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.supervision_flags (
    id bigint NOT NULL,
    institution_id bigint NOT NULL,
    rule text NOT NULL,
    value double precision NOT NULL,
    cases integer NOT NULL,
    threshold double precision NOT NULL,
    months text[] NOT NULL,
    raised_at timestamp with time zone DEFAULT now() NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone
);

ALTER TABLE public.supervision_flags ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.supervision_flags_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.supervision_rules (
    name text NOT NULL,
    region_code text NOT NULL,
    region_prefix text GENERATED ALWAYS AS (public.region_prefix(region_code)) STORED NOT NULL,
    threshold double precision,
    "least" integer NOT NULL,
    set_by text NOT NULL,
    set_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT supervision_rules_least_check CHECK ((("least" >= 1) AND ("least" <= 100000))),
    CONSTRAINT supervision_rules_region_code_check CHECK ((region_code ~ '^[0-9]{6}$'::text)),
    CONSTRAINT supervision_rules_threshold_check CHECK ((threshold >= (0)::double precision))
);

CREATE TABLE public.supervisions (
    id bigint NOT NULL,
    institution_id bigint NOT NULL,
    node_id bigint NOT NULL,
    state text NOT NULL,
    reasons jsonb NOT NULL,
    clock text NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    days integer NOT NULL,
    due_at timestamp with time zone NOT NULL,
    provisional boolean NOT NULL,
    remind_at timestamp with time zone,
    node_at timestamp with time zone NOT NULL,
    above_at timestamp with time zone NOT NULL,
    stamp bigint NOT NULL,
    next_at timestamp with time zone GENERATED ALWAYS AS (
CASE clock
    WHEN 'running'::text THEN COALESCE(remind_at, due_at)
    WHEN 'reminded'::text THEN due_at
    WHEN 'overdue'::text THEN node_at
    WHEN 'escalated'::text THEN above_at
    ELSE NULL::timestamp with time zone
END) STORED,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT supervisions_check CHECK (((state = 'closed'::text) = (clock = 'done'::text))),
    CONSTRAINT supervisions_check1 CHECK ((remind_at < due_at)),
    CONSTRAINT supervisions_check2 CHECK (((due_at <= node_at) AND (node_at <= above_at))),
    CONSTRAINT supervisions_clock_check CHECK ((clock = ANY (ARRAY['running'::text, 'reminded'::text, 'overdue'::text, 'escalated'::text, 'escalated_above'::text, 'done'::text]))),
    CONSTRAINT supervisions_days_check CHECK ((days >= 0))
)
WITH (fillfactor='80');

ALTER TABLE public.supervisions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.supervisions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.take_ups (
    institution_id bigint NOT NULL,
    item_code text NOT NULL,
    taken_up_at timestamp with time zone DEFAULT now() NOT NULL,
    actor_id bigint
);

CREATE TABLE public.transitions (
    machine text NOT NULL,
    from_state text NOT NULL,
    action text NOT NULL,
    to_state text NOT NULL
);

CREATE TABLE public.trial_runs (
    run_id bigint NOT NULL,
    version text NOT NULL,
    share double precision NOT NULL,
    by_trial boolean NOT NULL,
    champion_propensity double precision NOT NULL,
    trial_propensity double precision NOT NULL,
    overlap double precision NOT NULL,
    scores double precision[] NOT NULL,
    CONSTRAINT trial_runs_champion_propensity_check CHECK (((champion_propensity >= (0)::double precision) AND (champion_propensity <= (1)::double precision))),
    CONSTRAINT trial_runs_check CHECK (((share > (0)::double precision) OR (NOT by_trial))),
    CONSTRAINT trial_runs_overlap_check CHECK (((overlap >= (0)::double precision) AND (overlap <= (1)::double precision))),
    CONSTRAINT trial_runs_share_check CHECK (((share >= (0)::double precision) AND (share < (1)::double precision))),
    CONSTRAINT trial_runs_trial_propensity_check CHECK (((trial_propensity >= (0)::double precision) AND (trial_propensity <= (1)::double precision)))
);

CREATE TABLE public.webhooks (
    account_id bigint NOT NULL,
    url text NOT NULL,
    secret bytea NOT NULL,
    subjects text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    failing_since timestamp with time zone,
    disabled_at timestamp with time zone,
    CONSTRAINT webhooks_secret_check CHECK ((octet_length(secret) = 32)),
    CONSTRAINT webhooks_url_check CHECK ((char_length(url) <= 500))
);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_login_key UNIQUE (login);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT api_tokens_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT api_tokens_token_hash_key UNIQUE (token_hash);

ALTER TABLE ONLY public.audit_chain
    ADD CONSTRAINT audit_chain_audit_id_key UNIQUE (audit_id);

ALTER TABLE ONLY public.audit_chain
    ADD CONSTRAINT audit_chain_pkey PRIMARY KEY ("position");

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.audit_seals
    ADD CONSTRAINT audit_seals_pkey PRIMARY KEY ("position");

ALTER TABLE ONLY public.business_hours
    ADD CONSTRAINT business_hours_pkey PRIMARY KEY (region_code);

ALTER TABLE ONLY public.calendar_days
    ADD CONSTRAINT calendar_days_pkey PRIMARY KEY (region_code, day);

ALTER TABLE ONLY public.calendar_stamp
    ADD CONSTRAINT calendar_stamp_pkey PRIMARY KEY (one);

ALTER TABLE ONLY public.calendar_years
    ADD CONSTRAINT calendar_years_pkey PRIMARY KEY (year);

ALTER TABLE ONLY public.candidates
    ADD CONSTRAINT candidates_pkey PRIMARY KEY (run_id, rank);

ALTER TABLE ONLY public.candidates
    ADD CONSTRAINT candidates_run_id_offering_id_key UNIQUE (run_id, offering_id);

ALTER TABLE ONLY public.catalogue_stamp
    ADD CONSTRAINT catalogue_stamp_pkey PRIMARY KEY (one);

ALTER TABLE ONLY public.changes
    ADD CONSTRAINT changes_pkey PRIMARY KEY (id);

ALTER TABLE public.deadlines
    ADD CONSTRAINT deadlines_kind_check CHECK ((kind = ANY (ARRAY['first_contact'::text, 'match'::text, 'accept'::text, 'deliver'::text, 'deliver_statutory'::text, 'rating_reply'::text, 'rating_ruling'::text, 'rectification_verify'::text, 'rectification_rectify'::text, 'rectification_answer'::text, 'rectification_revisit'::text, 'rectification_close'::text]))) NOT VALID;

ALTER TABLE ONLY public.deadlines
    ADD CONSTRAINT deadlines_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.enterprise_events
    ADD CONSTRAINT enterprise_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.enterprise_kinds
    ADD CONSTRAINT enterprise_kinds_pkey PRIMARY KEY (code);

ALTER TABLE ONLY public.enterprises
    ADD CONSTRAINT enterprises_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.enterprises
    ADD CONSTRAINT enterprises_uscc_key UNIQUE (uscc);

ALTER TABLE ONLY public.erasures
    ADD CONSTRAINT erasures_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id);

ALTER TABLE public.events
    ADD CONSTRAINT events_subject_check CHECK (
CASE machine
    WHEN 'need'::text THEN ((match_id IS NULL) AND (deadline_id IS NULL))
    WHEN 'deadline'::text THEN (deadline_id IS NOT NULL)
    ELSE ((match_id IS NOT NULL) AND (deadline_id IS NULL))
END) NOT VALID;

ALTER TABLE ONLY public.fact_editions
    ADD CONSTRAINT fact_editions_pkey PRIMARY KEY (sha256);

ALTER TABLE ONLY public.held_decisions
    ADD CONSTRAINT held_decisions_need_id_key UNIQUE (need_id);

ALTER TABLE ONLY public.held_decisions
    ADD CONSTRAINT held_decisions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (account_id, key);

ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_account_id_issuer_key UNIQUE (account_id, issuer);

ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_pkey PRIMARY KEY (issuer, subject);

ALTER TABLE ONLY public.industries
    ADD CONSTRAINT industries_pkey PRIMARY KEY (code);

ALTER TABLE ONLY public.institution_kinds
    ADD CONSTRAINT institution_kinds_pkey PRIMARY KEY (code);

ALTER TABLE ONLY public.institution_versions
    ADD CONSTRAINT institution_versions_pkey PRIMARY KEY (institution_id, version);

ALTER TABLE ONLY public.institutions
    ADD CONSTRAINT institutions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.institutions
    ADD CONSTRAINT institutions_uscc_key UNIQUE (uscc);

ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT invitations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.item_events
    ADD CONSTRAINT item_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.item_revisions
    ADD CONSTRAINT item_revisions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ledger_closings
    ADD CONSTRAINT ledger_closings_pkey PRIMARY KEY (region_code, period);

ALTER TABLE ONLY public.ledger_corrections
    ADD CONSTRAINT ledger_corrections_institution_id_period_figures_key UNIQUE (institution_id, period, figures);

ALTER TABLE ONLY public.ledger_corrections
    ADD CONSTRAINT ledger_corrections_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ledger_rows
    ADD CONSTRAINT ledger_rows_pkey PRIMARY KEY (institution_id, period, item_code, frozen);

ALTER TABLE ONLY public.ledger_state
    ADD CONSTRAINT ledger_state_pkey PRIMARY KEY (one);

ALTER TABLE ONLY public.matches
    ADD CONSTRAINT matches_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.message_settings
    ADD CONSTRAINT message_settings_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.model_health
    ADD CONSTRAINT model_health_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.model_steps
    ADD CONSTRAINT model_steps_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.models
    ADD CONSTRAINT models_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.need_letters
    ADD CONSTRAINT need_letters_pkey PRIMARY KEY (id);

ALTER TABLE public.needs
    ADD CONSTRAINT needs_offered_to_check CHECK (((offered_to IS NULL) OR ((owner_id IS NOT NULL) AND (offered_to <> owner_id)))) NOT VALID;

ALTER TABLE ONLY public.needs
    ADD CONSTRAINT needs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.nodes
    ADD CONSTRAINT nodes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.nodes
    ADD CONSTRAINT nodes_region_code_key UNIQUE (region_code);

ALTER TABLE ONLY public.notices
    ADD CONSTRAINT notices_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.offering_versions
    ADD CONSTRAINT offering_versions_offering_id_version_item_code_item_versio_key UNIQUE (offering_id, version, item_code, item_version);

ALTER TABLE ONLY public.offering_versions
    ADD CONSTRAINT offering_versions_pkey PRIMARY KEY (offering_id, version);

ALTER TABLE ONLY public.offerings
    ADD CONSTRAINT offerings_id_institution_id_key UNIQUE (id, institution_id);

ALTER TABLE ONLY public.offerings
    ADD CONSTRAINT offerings_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.pair_rules
    ADD CONSTRAINT pair_rules_pkey PRIMARY KEY (need_id, offering_id);

ALTER TABLE ONLY public.plans
    ADD CONSTRAINT plans_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.prices
    ADD CONSTRAINT prices_pkey PRIMARY KEY (node_id);

ALTER TABLE ONLY public.ranking_runs
    ADD CONSTRAINT ranking_runs_id_need_id_key UNIQUE (id, need_id);

ALTER TABLE ONLY public.ranking_runs
    ADD CONSTRAINT ranking_runs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ratings
    ADD CONSTRAINT ratings_match_id_key UNIQUE (match_id);

ALTER TABLE public.ratings
    ADD CONSTRAINT ratings_on_behalf_check CHECK (((rated_by IS NOT NULL) OR (NOT on_behalf))) NOT VALID;

ALTER TABLE ONLY public.ratings
    ADD CONSTRAINT ratings_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.rebuilds
    ADD CONSTRAINT rebuilds_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.recovery_codes
    ADD CONSTRAINT recovery_codes_pkey PRIMARY KEY (account_id, code_hash);

ALTER TABLE ONLY public.rectifications
    ADD CONSTRAINT rectifications_pkey PRIMARY KEY (rating_id);

ALTER TABLE ONLY public.region_rules
    ADD CONSTRAINT region_rules_pkey PRIMARY KEY (name, region_code);

ALTER TABLE ONLY public.regions
    ADD CONSTRAINT regions_pkey PRIMARY KEY (code);

ALTER TABLE ONLY public.saved_filters
    ADD CONSTRAINT saved_filters_account_id_name_key UNIQUE (account_id, name);

ALTER TABLE ONLY public.saved_filters
    ADD CONSTRAINT saved_filters_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.searches
    ADD CONSTRAINT searches_pkey PRIMARY KEY (day, text);

ALTER TABLE ONLY public.second_factors
    ADD CONSTRAINT second_factors_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.service_item_versions
    ADD CONSTRAINT service_item_versions_pkey PRIMARY KEY (item_code, version);

ALTER TABLE ONLY public.service_items
    ADD CONSTRAINT service_items_number_key UNIQUE (number);

ALTER TABLE ONLY public.service_items
    ADD CONSTRAINT service_items_pkey PRIMARY KEY (code);

ALTER TABLE ONLY public.supervision_events
    ADD CONSTRAINT supervision_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.supervision_flags
    ADD CONSTRAINT supervision_flags_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.supervision_rules
    ADD CONSTRAINT supervision_rules_pkey PRIMARY KEY (name, region_code);

ALTER TABLE ONLY public.supervisions
    ADD CONSTRAINT supervisions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.take_ups
    ADD CONSTRAINT take_ups_pkey PRIMARY KEY (institution_id, item_code);

ALTER TABLE ONLY public.transitions
    ADD CONSTRAINT transitions_machine_from_state_action_to_state_key UNIQUE (machine, from_state, action, to_state);

ALTER TABLE ONLY public.transitions
    ADD CONSTRAINT transitions_pkey PRIMARY KEY (machine, from_state, action);

ALTER TABLE ONLY public.trial_runs
    ADD CONSTRAINT trial_runs_pkey PRIMARY KEY (run_id);

ALTER TABLE ONLY public.webhooks
    ADD CONSTRAINT webhooks_pkey PRIMARY KEY (account_id);

CREATE INDEX accounts_enterprise_id ON public.accounts USING btree (enterprise_id) WHERE (enterprise_id IS NOT NULL);

CREATE INDEX accounts_institution_id ON public.accounts USING btree (institution_id) WHERE (institution_id IS NOT NULL);

CREATE INDEX accounts_node_id ON public.accounts USING btree (node_id) WHERE (node_id IS NOT NULL);

CREATE INDEX api_tokens_account_id ON public.api_tokens USING btree (account_id);

CREATE INDEX audit_actor_id ON public.audit USING btree (actor_id, id DESC);

CREATE INDEX audit_object ON public.audit USING btree (object, id DESC);

CREATE INDEX audit_transaction ON public.audit USING btree (transaction);

CREATE UNIQUE INDEX audit_view_once ON public.audit USING btree (request_id, object) WHERE (action = 'view'::text);

CREATE INDEX deadlines_board ON public.deadlines USING btree (due_at, id) WHERE (ended_at IS NULL);

CREATE INDEX deadlines_next ON public.deadlines USING btree (next_at, id) WHERE (next_at IS NOT NULL);

CREATE UNIQUE INDEX deadlines_one_live ON public.deadlines USING btree (need_id, kind) WHERE (ended_at IS NULL);

CREATE INDEX deadlines_replies ON public.deadlines USING btree (match_id) WHERE ((kind = 'rating_reply'::text) AND (ended_at IS NULL));

CREATE INDEX deadlines_stale ON public.deadlines USING btree (stamp, id) WHERE (state = ANY (ARRAY['running'::text, 'reminded'::text]));

CREATE INDEX deliveries_account_id ON public.deliveries USING btree (account_id, id);

CREATE INDEX deliveries_due ON public.deliveries USING btree (channel, next_at) WHERE (state = 'waiting'::text);

CREATE UNIQUE INDEX deliveries_once ON public.deliveries USING btree (message_id, channel) WHERE (message_id IS NOT NULL);

CREATE UNIQUE INDEX deliveries_one_digest ON public.deliveries USING btree (account_id, day) WHERE (day IS NOT NULL);

CREATE INDEX deliveries_parked ON public.deliveries USING btree (id) WHERE (state = 'parked'::text);

CREATE INDEX enterprise_events_enterprise_id ON public.enterprise_events USING btree (enterprise_id, id);

CREATE INDEX erasures_waiting ON public.erasures USING btree (asked_at) WHERE (done_at IS NULL);

CREATE INDEX events_approvals ON public.events USING btree (match_id) WHERE (to_state = 'approved'::text);

CREATE INDEX events_at ON public.events USING brin (at);

CREATE INDEX events_declines ON public.events USING btree (at) WHERE (action = ANY (ARRAY['request_decline'::text, 'grant_decline'::text, 'refuse_decline'::text]));

CREATE INDEX events_need_id ON public.events USING btree (need_id, id);

CREATE UNIQUE INDEX events_return_again ON public.events USING btree (need_id, ((data ->> 'answer'::text))) WHERE ((machine = 'need'::text) AND (action = 'return_again'::text));

CREATE UNIQUE INDEX events_return_once ON public.events USING btree (need_id) WHERE ((machine = 'need'::text) AND (action = 'return'::text));

CREATE UNIQUE INDEX events_send_back_once ON public.events USING btree (match_id) WHERE ((machine = 'rectification'::text) AND (action = 'send_back'::text));

CREATE INDEX events_taken_back ON public.events USING btree (match_id, id) WHERE (action = ANY (ARRAY['rework'::text, 'withhold'::text]));

CREATE INDEX held_decisions_actor_id ON public.held_decisions USING btree (actor_id);

CREATE INDEX idempotency_keys_created_at ON public.idempotency_keys USING btree (created_at);

CREATE INDEX item_events_revision_id ON public.item_events USING btree (revision_id, id);

CREATE UNIQUE INDEX item_revisions_one_open ON public.item_revisions USING btree (item_code) WHERE (state = ANY (ARRAY['draft'::text, 'in_review'::text, 'approved'::text]));

CREATE INDEX item_revisions_open ON public.item_revisions USING btree (state, institution_id) WHERE (state = ANY (ARRAY['draft'::text, 'in_review'::text, 'approved'::text]));

CREATE INDEX ledger_rows_listed ON public.ledger_rows USING btree (period, frozen, institution_id) WHERE (item_code = ''::text);

CREATE INDEX matches_desk ON public.matches USING btree (institution_id, state, due_at);

CREATE INDEX matches_need_id ON public.matches USING btree (need_id, id DESC);

CREATE INDEX matches_offering_id ON public.matches USING btree (offering_id);

CREATE UNIQUE INDEX matches_one_live ON public.matches USING btree (need_id) WHERE (state = ANY (ARRAY['proposed'::text, 'approved'::text, 'decline_requested'::text, 'accepted'::text, 'delivered'::text]));

CREATE INDEX messages_account_id ON public.messages USING btree (account_id, id);

CREATE INDEX messages_digest_id ON public.messages USING btree (digest_id) WHERE (digest_id IS NOT NULL);

CREATE INDEX messages_for_digest ON public.messages USING btree (account_id) WHERE for_digest;

CREATE INDEX messages_old ON public.messages USING btree (at) WHERE (read_at IS NOT NULL);

CREATE UNIQUE INDEX messages_once ON public.messages USING btree (source, source_id, account_id);

CREATE INDEX messages_unread ON public.messages USING btree (account_id, id) WHERE (read_at IS NULL);

CREATE UNIQUE INDEX models_one_champion ON public.models USING btree (state) WHERE (state = 'champion'::text);

CREATE UNIQUE INDEX models_one_on_trial ON public.models USING btree ((true)) WHERE (state = ANY (ARRAY['shadow'::text, 'challenger'::text]));

CREATE INDEX need_letters_need_id ON public.need_letters USING btree (need_id, id);

CREATE INDEX needs_enterprise_id ON public.needs USING btree (enterprise_id, id DESC);

CREATE INDEX needs_queue ON public.needs USING btree (node_id, state, due_at, id);

CREATE INDEX needs_submitted_by ON public.needs USING btree (submitted_by, id DESC);

CREATE INDEX notices_published ON public.notices USING btree (published_at DESC, id DESC) WHERE (state = 'published'::text);

CREATE INDEX offerings_institution_id ON public.offerings USING btree (institution_id);

CREATE INDEX offerings_item_code ON public.offerings USING btree (item_code);

CREATE INDEX offerings_listed ON public.offerings USING btree (sort_key) WHERE (state = 'published'::text);

CREATE INDEX outbox_due ON public.outbox USING btree (leased_until, id) WHERE ((parked_at IS NULL) AND (topic <> 'index'::text) AND (topic <> 'tell'::text));

CREATE INDEX outbox_index ON public.outbox USING btree (id) WHERE ((topic = 'index'::text) AND (parked_at IS NULL));

CREATE INDEX outbox_tell ON public.outbox USING btree (id) WHERE ((topic = 'tell'::text) AND (parked_at IS NULL));

CREATE UNIQUE INDEX pair_rules_one_pin ON public.pair_rules USING btree (need_id) WHERE (kind = 'pin'::text);

CREATE INDEX plans_node_id ON public.plans USING btree (node_id, id DESC);

CREATE INDEX ranking_runs_need_id ON public.ranking_runs USING btree (need_id, id DESC);

CREATE INDEX ratings_created_at ON public.ratings USING btree (created_at);

CREATE INDEX ratings_institution_id ON public.ratings USING btree (institution_id, id DESC);

CREATE INDEX ratings_reported ON public.ratings USING btree (id) WHERE (state = 'reported'::text);

CREATE UNIQUE INDEX rebuilds_waiting ON public.rebuilds USING btree (index_name) WHERE (state = 'waiting'::text);

CREATE INDEX rectifications_open ON public.rectifications USING btree (due_at) WHERE (state <> 'closed'::text);

CREATE INDEX regions_parent_code ON public.regions USING btree (parent_code);

CREATE INDEX searches_in_vain ON public.searches USING btree (day) WHERE (found_nothing > 0);

CREATE INDEX service_items_institution_id ON public.service_items USING btree (institution_id);

CREATE INDEX supervision_events_supervision_id ON public.supervision_events USING btree (supervision_id, id);

CREATE UNIQUE INDEX supervision_flags_one_open ON public.supervision_flags USING btree (institution_id, rule) WHERE (ended_at IS NULL);

CREATE INDEX supervisions_institution_id ON public.supervisions USING btree (institution_id, id DESC);

CREATE INDEX supervisions_next ON public.supervisions USING btree (next_at, id) WHERE (next_at IS NOT NULL);

CREATE UNIQUE INDEX supervisions_one_open ON public.supervisions USING btree (institution_id) WHERE (state <> 'closed'::text);

CREATE INDEX take_ups_item_code ON public.take_ups USING btree (item_code);

CREATE INDEX trial_runs_version ON public.trial_runs USING btree (version, run_id);

CREATE TRIGGER accounts_audit AFTER INSERT ON public.accounts FOR EACH ROW EXECUTE FUNCTION public.audit_account();

CREATE TRIGGER accounts_audit_change AFTER UPDATE OF password_hash, disabled_at, role ON public.accounts FOR EACH ROW WHEN (((old.password_hash <> new.password_hash) OR (old.disabled_at IS DISTINCT FROM new.disabled_at) OR (old.role <> new.role))) EXECUTE FUNCTION public.audit_account();

CREATE TRIGGER api_tokens_audit AFTER INSERT ON public.api_tokens FOR EACH ROW EXECUTE FUNCTION public.audit_account();

CREATE TRIGGER api_tokens_audit_revoked AFTER UPDATE OF revoked_at ON public.api_tokens FOR EACH ROW WHEN ((old.revoked_at IS DISTINCT FROM new.revoked_at)) EXECUTE FUNCTION public.audit_account();

CREATE TRIGGER audit_chain_frozen BEFORE UPDATE ON public.audit_chain FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER audit_frozen BEFORE UPDATE ON public.audit FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER audit_kept BEFORE DELETE ON public.audit FOR EACH ROW WHEN ((old.at > (now() - '180 days'::interval))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER audit_never_emptied BEFORE TRUNCATE ON public.audit FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER audit_seals_frozen BEFORE UPDATE ON public.audit_seals FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER business_hours_stamp AFTER INSERT OR DELETE OR UPDATE ON public.business_hours FOR EACH STATEMENT EXECUTE FUNCTION public.move_calendar_stamp();

CREATE TRIGGER calendar_days_stamp AFTER INSERT OR DELETE OR UPDATE ON public.calendar_days FOR EACH STATEMENT EXECUTE FUNCTION public.move_calendar_stamp();

CREATE TRIGGER calendar_years_stamp AFTER INSERT OR DELETE OR UPDATE ON public.calendar_years FOR EACH STATEMENT EXECUTE FUNCTION public.move_calendar_stamp();

CREATE TRIGGER changes_frozen BEFORE DELETE OR UPDATE ON public.changes FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER deadlines_follow AFTER INSERT OR UPDATE OF due_at, provisional ON public.deadlines FOR EACH ROW WHEN ((new.kind <> 'first_contact'::text)) EXECUTE FUNCTION public.follow_deadline();

CREATE TRIGGER deadlines_moves BEFORE INSERT OR UPDATE OF state ON public.deadlines FOR EACH ROW EXECUTE FUNCTION public.refuse_illegal_move('deadline');

CREATE TRIGGER enterprise_events_immutable BEFORE DELETE OR UPDATE ON public.enterprise_events FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER events_frozen BEFORE DELETE OR UPDATE ON public.events FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER events_tell AFTER INSERT ON public.events FOR EACH ROW WHEN ((((((new.machine <> 'need'::text) OR (new.action <> 'submit'::text)) AND ((new.machine <> 'match'::text) OR (new.action <> 'propose'::text))) AND ((new.machine <> 'deadline'::text) OR (new.action <> 'recount'::text))) AND (new.at > (now() - '1 day'::interval)))) EXECUTE FUNCTION public.ask_to_tell();

CREATE TRIGGER institution_versions_frozen BEFORE DELETE OR UPDATE ON public.institution_versions FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER institutions_index AFTER UPDATE OF state, version ON public.institutions FOR EACH ROW EXECUTE FUNCTION public.ask_for_index('institutions', 'id');

CREATE TRIGGER institutions_index_new AFTER INSERT ON public.institutions FOR EACH ROW EXECUTE FUNCTION public.ask_for_index('institutions', 'id');

CREATE TRIGGER institutions_index_offerings AFTER UPDATE OF state, version ON public.institutions FOR EACH ROW EXECUTE FUNCTION public.ask_for_index_of_offerings();

CREATE TRIGGER institutions_stamp AFTER INSERT OR UPDATE OF state, version ON public.institutions FOR EACH STATEMENT EXECUTE FUNCTION public.move_catalogue_stamp();

CREATE TRIGGER item_events_audit AFTER INSERT ON public.item_events FOR EACH ROW EXECUTE FUNCTION public.audit_step('list_step', 'revision', 'revision_id');

CREATE TRIGGER item_events_four_eyes BEFORE INSERT ON public.item_events FOR EACH ROW WHEN ((new.action = 'approve'::text)) EXECUTE FUNCTION public.refuse_own_approval();

CREATE TRIGGER item_events_frozen BEFORE DELETE OR UPDATE ON public.item_events FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER item_events_tell AFTER INSERT ON public.item_events FOR EACH ROW WHEN (((new.action <> ALL (ARRAY['draft'::text, 'save'::text])) AND (new.at > (now() - '1 day'::interval)))) EXECUTE FUNCTION public.ask_to_tell();

CREATE TRIGGER item_revisions_moves BEFORE INSERT OR UPDATE OF state ON public.item_revisions FOR EACH ROW EXECUTE FUNCTION public.refuse_illegal_move('item');

CREATE TRIGGER ledger_closings_frozen BEFORE DELETE OR UPDATE ON public.ledger_closings FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER ledger_corrections_tell AFTER INSERT ON public.ledger_corrections FOR EACH ROW EXECUTE FUNCTION public.ask_to_tell();

CREATE TRIGGER ledger_rows_frozen BEFORE DELETE OR UPDATE ON public.ledger_rows FOR EACH ROW WHEN (old.frozen) EXECUTE FUNCTION public.refuse_change_of_closed();

CREATE TRIGGER matches_count AFTER INSERT OR UPDATE OF state ON public.matches FOR EACH ROW EXECUTE FUNCTION public.count_match();

CREATE TRIGGER matches_moves BEFORE INSERT OR UPDATE OF state ON public.matches FOR EACH ROW EXECUTE FUNCTION public.refuse_illegal_move('match');

CREATE TRIGGER model_steps_audit AFTER INSERT ON public.model_steps FOR EACH ROW EXECUTE FUNCTION public.audit_step('model_step', 'model', 'version');

CREATE TRIGGER model_steps_immutable BEFORE DELETE OR UPDATE ON public.model_steps FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER need_letters_immutable BEFORE DELETE OR UPDATE ON public.need_letters FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER need_letters_tell AFTER INSERT ON public.need_letters FOR EACH ROW EXECUTE FUNCTION public.ask_to_tell();

CREATE TRIGGER needs_moves BEFORE INSERT OR UPDATE OF state ON public.needs FOR EACH ROW EXECUTE FUNCTION public.refuse_illegal_move('need');

CREATE TRIGGER notices_index AFTER INSERT OR UPDATE ON public.notices FOR EACH ROW EXECUTE FUNCTION public.ask_for_index('notices', 'id');

CREATE TRIGGER offering_versions_frozen BEFORE DELETE OR UPDATE ON public.offering_versions FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER offerings_in_order BEFORE INSERT OR UPDATE OF state, version ON public.offerings FOR EACH STATEMENT EXECUTE FUNCTION public.hold_catalogue_stamp();

CREATE TRIGGER offerings_index AFTER UPDATE OF state, version, rated ON public.offerings FOR EACH ROW WHEN ((((old.state IS DISTINCT FROM new.state) OR (old.version IS DISTINCT FROM new.version)) OR (old.rated IS DISTINCT FROM new.rated))) EXECUTE FUNCTION public.ask_for_index('offerings', 'id');

CREATE TRIGGER offerings_index_new AFTER INSERT ON public.offerings FOR EACH ROW EXECUTE FUNCTION public.ask_for_index('offerings', 'id');

CREATE TRIGGER offerings_log AFTER INSERT OR UPDATE OF state, version ON public.offerings FOR EACH ROW EXECUTE FUNCTION public.log_offering_change();

CREATE TRIGGER offerings_of_items_in_force BEFORE INSERT OR UPDATE OF state ON public.offerings FOR EACH ROW WHEN ((new.state = 'published'::text)) EXECUTE FUNCTION public.refuse_withdrawn_item();

CREATE TRIGGER offerings_stamp AFTER INSERT OR UPDATE OF state, version ON public.offerings FOR EACH STATEMENT EXECUTE FUNCTION public.move_catalogue_stamp();

CREATE TRIGGER ratings_count AFTER INSERT OR UPDATE OF state ON public.ratings FOR EACH ROW EXECUTE FUNCTION public.count_rating();

CREATE TRIGGER ratings_frozen BEFORE DELETE OR UPDATE OF match_id, institution_id, offering_id, level, indicators, remark, anonymous, rated_by, on_behalf, source, created_at ON public.ratings FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER ratings_moves BEFORE INSERT OR UPDATE OF state ON public.ratings FOR EACH ROW EXECUTE FUNCTION public.refuse_illegal_move('rating');

CREATE TRIGGER ratings_one_later_remark BEFORE UPDATE OF later_remark ON public.ratings FOR EACH ROW WHEN ((old.later_remark <> new.later_remark)) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER ratings_one_reply BEFORE UPDATE OF reply ON public.ratings FOR EACH ROW WHEN ((old.reply <> new.reply)) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER rectifications_moves BEFORE INSERT OR UPDATE OF state ON public.rectifications FOR EACH ROW EXECUTE FUNCTION public.refuse_illegal_move('rectification');

CREATE TRIGGER second_factors_audit AFTER UPDATE OF confirmed_at ON public.second_factors FOR EACH ROW WHEN ((old.confirmed_at IS DISTINCT FROM new.confirmed_at)) EXECUTE FUNCTION public.audit_account();

CREATE TRIGGER second_factors_audit_dropped AFTER DELETE ON public.second_factors FOR EACH ROW WHEN ((old.confirmed_at IS NOT NULL)) EXECUTE FUNCTION public.audit_account();

CREATE TRIGGER service_item_versions_frozen BEFORE DELETE OR UPDATE ON public.service_item_versions FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER service_items_in_order BEFORE INSERT OR UPDATE OF version, withdrawn_on ON public.service_items FOR EACH STATEMENT EXECUTE FUNCTION public.hold_catalogue_stamp();

CREATE TRIGGER service_items_index AFTER INSERT OR UPDATE OF version, withdrawn_on ON public.service_items FOR EACH ROW EXECUTE FUNCTION public.ask_for_index('items', 'code');

CREATE TRIGGER service_items_index_offerings AFTER UPDATE OF version ON public.service_items FOR EACH ROW EXECUTE FUNCTION public.ask_for_index_of_offerings();

CREATE TRIGGER service_items_log AFTER INSERT OR UPDATE OF version, withdrawn_on ON public.service_items FOR EACH ROW EXECUTE FUNCTION public.log_item_change();

CREATE TRIGGER service_items_stamp AFTER INSERT OR UPDATE OF version, withdrawn_on ON public.service_items FOR EACH STATEMENT EXECUTE FUNCTION public.move_catalogue_stamp();

CREATE TRIGGER supervision_events_frozen BEFORE DELETE OR UPDATE ON public.supervision_events FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER supervision_events_tell AFTER INSERT ON public.supervision_events FOR EACH ROW WHEN ((((new.machine <> 'deadline'::text) OR (new.action <> 'recount'::text)) AND (new.at > (now() - '1 day'::interval)))) EXECUTE FUNCTION public.ask_to_tell();

CREATE TRIGGER supervisions_moves BEFORE INSERT OR UPDATE OF state ON public.supervisions FOR EACH ROW EXECUTE FUNCTION public.refuse_illegal_move('supervision');

CREATE TRIGGER take_ups_frozen BEFORE DELETE OR UPDATE ON public.take_ups FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_enterprise_id_fkey FOREIGN KEY (enterprise_id) REFERENCES public.enterprises(id);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_institution_id_fkey FOREIGN KEY (institution_id) REFERENCES public.institutions(id);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_node_id_fkey FOREIGN KEY (node_id) REFERENCES public.nodes(id);

ALTER TABLE ONLY public.api_tokens
    ADD CONSTRAINT api_tokens_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.candidates
    ADD CONSTRAINT candidates_offering_id_offering_version_fkey FOREIGN KEY (offering_id, offering_version) REFERENCES public.offering_versions(offering_id, version);

ALTER TABLE ONLY public.candidates
    ADD CONSTRAINT candidates_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.ranking_runs(id);

ALTER TABLE ONLY public.changes
    ADD CONSTRAINT changes_item_code_fkey FOREIGN KEY (item_code) REFERENCES public.service_items(code);

ALTER TABLE ONLY public.changes
    ADD CONSTRAINT changes_offering_id_fkey FOREIGN KEY (offering_id) REFERENCES public.offerings(id);

ALTER TABLE ONLY public.deadlines
    ADD CONSTRAINT deadlines_match_id_fkey FOREIGN KEY (match_id) REFERENCES public.matches(id);

ALTER TABLE ONLY public.deadlines
    ADD CONSTRAINT deadlines_need_id_fkey FOREIGN KEY (need_id) REFERENCES public.needs(id);

ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT deliveries_message_id_fkey FOREIGN KEY (message_id) REFERENCES public.messages(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.enterprise_events
    ADD CONSTRAINT enterprise_events_actor_id_fkey FOREIGN KEY (actor_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.enterprise_events
    ADD CONSTRAINT enterprise_events_enterprise_id_fkey FOREIGN KEY (enterprise_id) REFERENCES public.enterprises(id);

ALTER TABLE ONLY public.enterprises
    ADD CONSTRAINT enterprises_industry_code_fkey FOREIGN KEY (industry_code) REFERENCES public.industries(code);

ALTER TABLE ONLY public.enterprises
    ADD CONSTRAINT enterprises_kind_fkey FOREIGN KEY (kind) REFERENCES public.enterprise_kinds(code);

ALTER TABLE ONLY public.enterprises
    ADD CONSTRAINT enterprises_region_code_fkey FOREIGN KEY (region_code) REFERENCES public.regions(code);

ALTER TABLE ONLY public.erasures
    ADD CONSTRAINT erasures_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_actor_id_fkey FOREIGN KEY (actor_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_deadline_id_fkey FOREIGN KEY (deadline_id) REFERENCES public.deadlines(id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_machine_from_state_action_to_state_fkey FOREIGN KEY (machine, from_state, action, to_state) REFERENCES public.transitions(machine, from_state, action, to_state);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_match_id_fkey FOREIGN KEY (match_id) REFERENCES public.matches(id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_need_id_fkey FOREIGN KEY (need_id) REFERENCES public.needs(id);

ALTER TABLE ONLY public.held_decisions
    ADD CONSTRAINT held_decisions_actor_id_fkey FOREIGN KEY (actor_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.held_decisions
    ADD CONSTRAINT held_decisions_match_id_fkey FOREIGN KEY (match_id) REFERENCES public.matches(id);

ALTER TABLE ONLY public.held_decisions
    ADD CONSTRAINT held_decisions_need_id_fkey FOREIGN KEY (need_id) REFERENCES public.needs(id);

ALTER TABLE ONLY public.held_decisions
    ADD CONSTRAINT held_decisions_offering_id_fkey FOREIGN KEY (offering_id) REFERENCES public.offerings(id);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.industries
    ADD CONSTRAINT industries_parent_code_fkey FOREIGN KEY (parent_code) REFERENCES public.industries(code);

ALTER TABLE ONLY public.institution_versions
    ADD CONSTRAINT institution_versions_institution_id_fkey FOREIGN KEY (institution_id) REFERENCES public.institutions(id);

ALTER TABLE ONLY public.institution_versions
    ADD CONSTRAINT institution_versions_kind_fkey FOREIGN KEY (kind) REFERENCES public.institution_kinds(code);

ALTER TABLE ONLY public.institution_versions
    ADD CONSTRAINT institution_versions_region_code_fkey FOREIGN KEY (region_code) REFERENCES public.regions(code);

ALTER TABLE ONLY public.institutions
    ADD CONSTRAINT institutions_id_version_fkey FOREIGN KEY (id, version) REFERENCES public.institution_versions(institution_id, version) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT invitations_enterprise_id_fkey FOREIGN KEY (enterprise_id) REFERENCES public.enterprises(id);

ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT invitations_invited_by_fkey FOREIGN KEY (invited_by) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.item_events
    ADD CONSTRAINT item_events_actor_id_fkey FOREIGN KEY (actor_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.item_events
    ADD CONSTRAINT item_events_machine_from_state_action_to_state_fkey FOREIGN KEY (machine, from_state, action, to_state) REFERENCES public.transitions(machine, from_state, action, to_state);

ALTER TABLE ONLY public.item_events
    ADD CONSTRAINT item_events_revision_id_fkey FOREIGN KEY (revision_id) REFERENCES public.item_revisions(id);

ALTER TABLE ONLY public.item_revisions
    ADD CONSTRAINT item_revisions_institution_id_fkey FOREIGN KEY (institution_id) REFERENCES public.institutions(id);

ALTER TABLE ONLY public.item_revisions
    ADD CONSTRAINT item_revisions_item_code_version_fkey FOREIGN KEY (item_code, version) REFERENCES public.service_item_versions(item_code, version);

ALTER TABLE ONLY public.ledger_closings
    ADD CONSTRAINT ledger_closings_region_code_fkey FOREIGN KEY (region_code) REFERENCES public.regions(code);

ALTER TABLE ONLY public.ledger_corrections
    ADD CONSTRAINT ledger_corrections_institution_id_fkey FOREIGN KEY (institution_id) REFERENCES public.institutions(id);

ALTER TABLE ONLY public.matches
    ADD CONSTRAINT matches_institution_id_institution_version_fkey FOREIGN KEY (institution_id, institution_version) REFERENCES public.institution_versions(institution_id, version);

ALTER TABLE ONLY public.matches
    ADD CONSTRAINT matches_need_id_fkey FOREIGN KEY (need_id) REFERENCES public.needs(id);

ALTER TABLE ONLY public.matches
    ADD CONSTRAINT matches_offering_id_institution_id_fkey FOREIGN KEY (offering_id, institution_id) REFERENCES public.offerings(id, institution_id);

ALTER TABLE ONLY public.matches
    ADD CONSTRAINT matches_offering_id_offering_version_item_code_item_versio_fkey FOREIGN KEY (offering_id, offering_version, item_code, item_version) REFERENCES public.offering_versions(offering_id, version, item_code, item_version);

ALTER TABLE ONLY public.matches
    ADD CONSTRAINT matches_run_id_need_id_fkey FOREIGN KEY (run_id, need_id) REFERENCES public.ranking_runs(id, need_id);

ALTER TABLE ONLY public.matches
    ADD CONSTRAINT matches_run_id_offering_id_fkey FOREIGN KEY (run_id, offering_id) REFERENCES public.candidates(run_id, offering_id);

ALTER TABLE ONLY public.message_settings
    ADD CONSTRAINT message_settings_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_need_id_fkey FOREIGN KEY (need_id) REFERENCES public.needs(id);

ALTER TABLE ONLY public.model_steps
    ADD CONSTRAINT model_steps_actor_id_fkey FOREIGN KEY (actor_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.model_steps
    ADD CONSTRAINT model_steps_version_fkey FOREIGN KEY (version) REFERENCES public.models(version);

ALTER TABLE ONLY public.models
    ADD CONSTRAINT models_replaces_fkey FOREIGN KEY (replaces) REFERENCES public.models(version);

ALTER TABLE ONLY public.need_letters
    ADD CONSTRAINT need_letters_author_id_fkey FOREIGN KEY (author_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.need_letters
    ADD CONSTRAINT need_letters_match_id_fkey FOREIGN KEY (match_id) REFERENCES public.matches(id);

ALTER TABLE ONLY public.need_letters
    ADD CONSTRAINT need_letters_need_id_fkey FOREIGN KEY (need_id) REFERENCES public.needs(id);

ALTER TABLE ONLY public.needs
    ADD CONSTRAINT needs_enterprise_id_fkey FOREIGN KEY (enterprise_id) REFERENCES public.enterprises(id);

ALTER TABLE ONLY public.needs
    ADD CONSTRAINT needs_node_id_fkey FOREIGN KEY (node_id) REFERENCES public.nodes(id);

ALTER TABLE ONLY public.needs
    ADD CONSTRAINT needs_offered_to_fkey FOREIGN KEY (offered_to) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.needs
    ADD CONSTRAINT needs_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.needs
    ADD CONSTRAINT needs_region_code_fkey FOREIGN KEY (region_code) REFERENCES public.regions(code);

ALTER TABLE ONLY public.needs
    ADD CONSTRAINT needs_submitted_by_fkey FOREIGN KEY (submitted_by) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.nodes
    ADD CONSTRAINT nodes_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES public.nodes(id);

ALTER TABLE ONLY public.nodes
    ADD CONSTRAINT nodes_region_code_fkey FOREIGN KEY (region_code) REFERENCES public.regions(code);

ALTER TABLE ONLY public.notices
    ADD CONSTRAINT notices_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.notices
    ADD CONSTRAINT notices_node_id_fkey FOREIGN KEY (node_id) REFERENCES public.nodes(id);

ALTER TABLE ONLY public.offering_versions
    ADD CONSTRAINT offering_versions_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.offering_versions
    ADD CONSTRAINT offering_versions_item_code_item_version_fkey FOREIGN KEY (item_code, item_version) REFERENCES public.service_item_versions(item_code, version);

ALTER TABLE ONLY public.offering_versions
    ADD CONSTRAINT offering_versions_offering_id_fkey FOREIGN KEY (offering_id) REFERENCES public.offerings(id);

ALTER TABLE ONLY public.offerings
    ADD CONSTRAINT offerings_id_version_fkey FOREIGN KEY (id, version) REFERENCES public.offering_versions(offering_id, version) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.offerings
    ADD CONSTRAINT offerings_institution_id_fkey FOREIGN KEY (institution_id) REFERENCES public.institutions(id);

ALTER TABLE ONLY public.offerings
    ADD CONSTRAINT offerings_item_code_fkey FOREIGN KEY (item_code) REFERENCES public.service_items(code);

ALTER TABLE ONLY public.pair_rules
    ADD CONSTRAINT pair_rules_made_by_fkey FOREIGN KEY (made_by) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.pair_rules
    ADD CONSTRAINT pair_rules_need_id_fkey FOREIGN KEY (need_id) REFERENCES public.needs(id);

ALTER TABLE ONLY public.pair_rules
    ADD CONSTRAINT pair_rules_offering_id_fkey FOREIGN KEY (offering_id) REFERENCES public.offerings(id);

ALTER TABLE ONLY public.plans
    ADD CONSTRAINT plans_made_by_fkey FOREIGN KEY (made_by) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.plans
    ADD CONSTRAINT plans_node_id_fkey FOREIGN KEY (node_id) REFERENCES public.nodes(id);

ALTER TABLE ONLY public.prices
    ADD CONSTRAINT prices_node_id_fkey FOREIGN KEY (node_id) REFERENCES public.nodes(id);

ALTER TABLE ONLY public.prices
    ADD CONSTRAINT prices_plan_id_fkey FOREIGN KEY (plan_id) REFERENCES public.plans(id);

ALTER TABLE ONLY public.ranking_runs
    ADD CONSTRAINT ranking_runs_need_id_fkey FOREIGN KEY (need_id) REFERENCES public.needs(id);

ALTER TABLE ONLY public.ranking_runs
    ADD CONSTRAINT ranking_runs_node_id_fkey FOREIGN KEY (node_id) REFERENCES public.nodes(id);

ALTER TABLE ONLY public.ratings
    ADD CONSTRAINT ratings_institution_id_fkey FOREIGN KEY (institution_id) REFERENCES public.institutions(id);

ALTER TABLE ONLY public.ratings
    ADD CONSTRAINT ratings_match_id_fkey FOREIGN KEY (match_id) REFERENCES public.matches(id);

ALTER TABLE ONLY public.ratings
    ADD CONSTRAINT ratings_offering_id_fkey FOREIGN KEY (offering_id) REFERENCES public.offerings(id);

ALTER TABLE ONLY public.ratings
    ADD CONSTRAINT ratings_rated_by_fkey FOREIGN KEY (rated_by) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.recovery_codes
    ADD CONSTRAINT recovery_codes_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.second_factors(account_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.rectifications
    ADD CONSTRAINT rectifications_rating_id_fkey FOREIGN KEY (rating_id) REFERENCES public.ratings(id);

ALTER TABLE ONLY public.regions
    ADD CONSTRAINT regions_parent_code_fkey FOREIGN KEY (parent_code) REFERENCES public.regions(code);

ALTER TABLE ONLY public.saved_filters
    ADD CONSTRAINT saved_filters_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.second_factors
    ADD CONSTRAINT second_factors_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.service_item_versions
    ADD CONSTRAINT service_item_versions_item_code_fkey FOREIGN KEY (item_code) REFERENCES public.service_items(code);

ALTER TABLE ONLY public.service_items
    ADD CONSTRAINT service_items_code_version_fkey FOREIGN KEY (code, version) REFERENCES public.service_item_versions(item_code, version) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.service_items
    ADD CONSTRAINT service_items_institution_id_fkey FOREIGN KEY (institution_id) REFERENCES public.institutions(id);

ALTER TABLE ONLY public.supervision_events
    ADD CONSTRAINT supervision_events_actor_id_fkey FOREIGN KEY (actor_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.supervision_events
    ADD CONSTRAINT supervision_events_machine_from_state_action_to_state_fkey FOREIGN KEY (machine, from_state, action, to_state) REFERENCES public.transitions(machine, from_state, action, to_state);

ALTER TABLE ONLY public.supervision_events
    ADD CONSTRAINT supervision_events_supervision_id_fkey FOREIGN KEY (supervision_id) REFERENCES public.supervisions(id);

ALTER TABLE ONLY public.supervision_flags
    ADD CONSTRAINT supervision_flags_institution_id_fkey FOREIGN KEY (institution_id) REFERENCES public.institutions(id);

ALTER TABLE ONLY public.supervisions
    ADD CONSTRAINT supervisions_institution_id_fkey FOREIGN KEY (institution_id) REFERENCES public.institutions(id);

ALTER TABLE ONLY public.supervisions
    ADD CONSTRAINT supervisions_node_id_fkey FOREIGN KEY (node_id) REFERENCES public.nodes(id);

ALTER TABLE ONLY public.take_ups
    ADD CONSTRAINT take_ups_actor_id_fkey FOREIGN KEY (actor_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.take_ups
    ADD CONSTRAINT take_ups_institution_id_fkey FOREIGN KEY (institution_id) REFERENCES public.institutions(id);

ALTER TABLE ONLY public.take_ups
    ADD CONSTRAINT take_ups_item_code_fkey FOREIGN KEY (item_code) REFERENCES public.service_items(code);

ALTER TABLE ONLY public.trial_runs
    ADD CONSTRAINT trial_runs_run_id_fkey FOREIGN KEY (run_id) REFERENCES public.ranking_runs(id);

ALTER TABLE ONLY public.trial_runs
    ADD CONSTRAINT trial_runs_version_fkey FOREIGN KEY (version) REFERENCES public.models(version);

ALTER TABLE ONLY public.webhooks
    ADD CONSTRAINT webhooks_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);
