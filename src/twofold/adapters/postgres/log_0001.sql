-- The schema of a log, version 1. Later versions are files of their own; this one never changes again.
--
-- Names begin with log_, as views may live in the same schema. Each file is run in one transaction with the schema first in
-- the search path. Processes of the version before go on while a file is applied and after: a function that they call is
-- replaced only by one that takes the same arguments and does the same for them; what needs other arguments gets a new name.

CREATE TABLE log_events (
    position    bigint PRIMARY KEY,
    id          text NOT NULL,
    type        text COLLATE "C" NOT NULL,
    version     integer NOT NULL,
    tags        bytea NOT NULL,
    data        bytea NOT NULL,
    metadata    bytea NOT NULL,
    recorded_at bigint NOT NULL
);

CREATE INDEX log_events_by_type ON log_events (type, position);

-- A tag's events lie side by side in the index, which is all that most conditions look at: it is kept small, as its pages
-- are the ones that a growing log touches at random. The type is for the few rows that a condition finds there.
CREATE TABLE log_tags (
    tag      text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    type     text COLLATE "C" NOT NULL,
    PRIMARY KEY (tag, position)
);

-- The ids of appends that must not happen twice, with what became of the first.
CREATE TABLE log_handled (
    id    text COLLATE "C" PRIMARY KEY,
    first bigint NOT NULL,
    last  bigint NOT NULL
);

CREATE TABLE log_snapshots (
    fold     text COLLATE "C" NOT NULL,
    key      text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    data     bytea NOT NULL,
    PRIMARY KEY (fold, key)
);

-- The latest batch of each writer and what became of it, for a writer that lost its connection before it heard.
CREATE TABLE log_batches (
    writer     uuid NOT NULL,
    number     bigint NOT NULL,
    head       bigint NOT NULL,
    places     integer[] NOT NULL,
    firsts     bigint[] NOT NULL,
    lasts      bigint[] NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (writer, number)
);

-- Empty for ever: whoever appends holds its lock, from the decision to the commit.
CREATE TABLE log_appending ();


-- Decides a batch of appends in order, each with those before it in sight, and stores the accepted ones.
--
-- Arrays whose names begin alike are columns of one list. Appends are counted from 1; `sizes` has their numbers of events.
-- `probe_*` are conditions of one tag, `ask_*` all other ones (several tags or types are joined by U+001F, '' is any).
-- `step_*` is what the appends have to do with each other, in their order; most batches have none:
--   kind 1: an append has the id of append `step_on` before it
--   kind 2: an append fails if an event went into set `step_on` after `step_after`, or after append `step_behind` if that
--           is not 0, and it fails with that one
--   kind 3: an append puts its event number `step_after` (from 0) into set `step_on`
--
-- Returns the head before, and the places and positions of the appends that added nothing: those of an earlier append with
-- the same id, or -1 and the position of an event that stands against it (0: unknown).
--
-- `writer` and `number` make the call repeatable: a second one with both the same returns what the first one did, and one
-- with a lower number than the writer's latest is refused. `acknowledged` is the number of one that nobody will ask about.
CREATE FUNCTION log_append(
    writer uuid, number bigint, acknowledged bigint, recorded_at bigint, sizes integer[],
    event_append integer[], event_id text[], event_type text[], event_version integer[], event_tags bytea[],
    event_data bytea[], event_metadata bytea[],
    tag_append integer[], tag_event integer[], tag_name text[], tag_type text[],
    id_append integer[], id_name text[],
    probe_append integer[], probe_tag text[], probe_types text[], probe_after bigint[],
    ask_append integer[], ask_tags text[], ask_types text[], ask_after bigint[],
    step_append integer[], step_kind integer[], step_on integer[], step_behind integer[], step_after bigint[],
    OUT head bigint, OUT places integer[], OUT firsts bigint[], OUT lasts bigint[], OUT stored boolean
) LANGUAGE plpgsql
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    appends constant integer := cardinality(sizes);
    steps   constant integer := cardinality(step_append);
    state   integer[] := array_fill(0, ARRAY[appends]);  -- by append: 0 accepted, 1 repeated, 2 in conflict
    low     bigint[] := array_fill(0::bigint, ARRAY[appends]);
    high    bigint[] := low;
    shift   bigint[];  -- by append: what to add to an event's number in the batch for its position
    latest  bigint[] := array_fill(0::bigint, ARRAY[steps]);  -- by set: the position of its last event
    step    integer := 1;
    odd     boolean := false;
    top     bigint;  -- the position of the last event accepted so far
    seen    integer := 0;  -- the events that came before in the batch
    hit   record;
    peer    integer;
    bound   bigint;
    few     constant integer := 100;
BEGIN
    places := '{}'; firsts := '{}'; lasts := '{}'; stored := false;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'Appending to the log needs a READ COMMITTED transaction: a stricter one does not see what others appended while it waited for its turn.'
            USING ERRCODE = 'invalid_transaction_state';
    END IF;
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;

    LOCK TABLE log_appending IN EXCLUSIVE MODE;

    SELECT b.* INTO hit FROM log_batches AS b
    WHERE b.writer = log_append.writer AND b.number >= log_append.number LIMIT 1;
    IF hit.number = log_append.number THEN
        head := hit.head; places := hit.places; firsts := hit.firsts; lasts := hit.lasts; stored := true;
        RETURN;
    ELSIF hit.number > log_append.number THEN
        RAISE EXCEPTION 'The writer of this batch has given it up and gone on.' USING ERRCODE = 'invalid_transaction_state';
    END IF;
    SELECT coalesce(max(position), 0) INTO head FROM log_events;
    top := head;

    IF cardinality(probe_append) > 0 THEN
        FOR hit IN
            SELECT probe.place, probe.tag, probe.types, probe.after, near.position
            FROM unnest(probe_append, probe_tag, probe_types, probe_after) AS probe (place, tag, types, after)
            CROSS JOIN LATERAL (
                SELECT count(*) AS seen,
                       min(n.position) FILTER (WHERE probe.types = '' OR n.type = ANY (string_to_array(probe.types, E'\x1f')))
                FROM (
                    SELECT t.position, t.type FROM log_tags AS t
                    WHERE t.tag = probe.tag AND t.position > probe.after ORDER BY t.position LIMIT few
                ) AS n
            ) AS near (seen, position)
            WHERE probe.after < top AND (near.position IS NOT NULL OR near.seen = few)
        LOOP
            -- The tag has many events of other types: there may be a better way than along all of them.
            bound := coalesce(hit.position, (SELECT * FROM log_select(hit.tag, hit.types, hit.after, top + 1, 1, false)));
            IF bound IS NOT NULL THEN
                odd := true; state[hit.place] := 2; low[hit.place] := -1; high[hit.place] := bound;
            END IF;
        END LOOP;
    END IF;
    IF cardinality(ask_append) > 0 THEN
        FOR hit IN
            SELECT ask.place, against.position
            FROM unnest(ask_append, ask_tags, ask_types, ask_after) AS ask (place, tags, types, after)
            CROSS JOIN LATERAL log_select(ask.tags, ask.types, ask.after, top + 1, 1, false) AS against (position)
            WHERE ask.after < top
        LOOP
            odd := true; state[hit.place] := 2; low[hit.place] := -1; high[hit.place] := hit.position;
        END LOOP;
    END IF;
    IF cardinality(id_append) > 0 THEN
        FOR hit IN
            SELECT asked.place, h.first, h.last
            FROM unnest(id_append, id_name) AS asked (place, id) JOIN log_handled AS h ON h.id = asked.id
        LOOP
            odd := true; state[hit.place] := 1; low[hit.place] := hit.first; high[hit.place] := hit.last;
        END LOOP;
    END IF;

    shift := array_fill(top, ARRAY[appends]);
    IF odd OR steps > 0 OR cardinality(id_append) > 0 THEN
        FOR place IN 1 .. appends LOOP
            WHILE step <= steps AND step_append[step] = place AND step_kind[step] < 3 LOOP
                IF step_kind[step] = 1 THEN
                    peer := step_on[step];
                    IF state[peer] < 2 THEN
                        state[place] := 1; low[place] := low[peer]; high[place] := high[peer];
                    END IF;
                ELSIF state[place] = 0 THEN
                    peer := step_behind[step];
                    IF peer > 0 AND state[peer] > 0 THEN
                        state[place] := 2; low[place] := -1; high[place] := 0;
                    ELSE
                        bound := CASE WHEN peer > 0 THEN high[peer] ELSE step_after[step] END;
                        IF latest[step_on[step]] > bound THEN
                            state[place] := 2; low[place] := -1; high[place] := latest[step_on[step]];
                        END IF;
                    END IF;
                END IF;
                step := step + 1;
            END LOOP;
            IF state[place] = 0 THEN
                shift[place] := top - seen; low[place] := top + 1; top := top + sizes[place]; high[place] := top;
            ELSE
                places := places || place; firsts := firsts || low[place]; lasts := lasts || high[place];
            END IF;
            WHILE step <= steps AND step_append[step] = place LOOP
                IF state[place] = 0 THEN
                    latest[step_on[step]] := low[place] + step_after[step];
                END IF;
                step := step + 1;
            END LOOP;
            seen := seen + sizes[place];
        END LOOP;
    END IF;

    INSERT INTO log_events (position, id, type, version, tags, data, metadata, recorded_at)
    SELECT shift[e.place] + e.number, e.id, e.type, e.version, e.tags, e.data, e.metadata, log_append.recorded_at
    FROM unnest(event_append, event_id, event_type, event_version, event_tags, event_data, event_metadata)
        WITH ORDINALITY AS e (place, id, type, version, tags, data, metadata, number)
    WHERE state[e.place] = 0;
    stored := FOUND;

    INSERT INTO log_tags (tag, position, type)
    SELECT t.tag, shift[t.place] + t.number, t.type
    FROM unnest(tag_append, tag_event, tag_name, tag_type) AS t (place, number, tag, type)
    WHERE state[t.place] = 0;

    IF cardinality(id_append) > 0 THEN
        INSERT INTO log_handled (id, first, last)
        SELECT a.id, low[a.place], high[a.place] FROM unnest(id_append, id_name) AS a (place, id)
        WHERE state[a.place] = 0;
        stored := stored OR FOUND;
    END IF;

    IF stored THEN
        IF writer IS NOT NULL THEN
            DELETE FROM log_batches AS b WHERE b.writer = log_append.writer AND b.number = acknowledged;
            INSERT INTO log_batches (writer, number, head, places, firsts, lasts)
            VALUES (log_append.writer, log_append.number, log_append.head, log_append.places, log_append.firsts, log_append.lasts);
        END IF;
        PERFORM pg_notify('twofold_log', current_schema());
    END IF;
END
$$;


-- Selects the positions of one criterion that are above and below others, at most so many of the first or the last of them
-- (of each type, if it goes by type). It goes along the tag, or the types, with the fewest events in between, and looks up
-- the rest. Tags and types are joined by U+001F.
CREATE FUNCTION log_select(
    tags text, types text, above bigint, below bigint, most integer, backwards boolean
) RETURNS SETOF bigint LANGUAGE plpgsql STABLE
AS $$
#variable_conflict use_column
DECLARE
    wanted   constant text[] := string_to_array(types, E'\x1f');
    any_type constant boolean := types = '';
    others   text[] := string_to_array(tags, E'\x1f');
    rarest   text;
    fewest   bigint;
BEGIN
    IF any_type AND others = '{}' THEN
        IF backwards THEN
            RETURN QUERY SELECT e.position FROM log_events AS e
                WHERE e.position > above AND e.position < below ORDER BY e.position DESC LIMIT most;
        ELSE
            RETURN QUERY SELECT e.position FROM log_events AS e
                WHERE e.position > above AND e.position < below ORDER BY e.position LIMIT most;
        END IF;
        RETURN;
    END IF;

    IF any_type AND cardinality(others) = 1 THEN
        rarest := others[1];
    ELSE
        SELECT o.tag INTO rarest FROM unnest(others) AS o (tag)
        WHERE (SELECT count(*) FROM (
            SELECT FROM log_tags AS t WHERE t.tag = o.tag AND t.position > above AND t.position < below LIMIT 1000
        ) AS counted) < 1000
        LIMIT 1;
    END IF;
    IF rarest IS NULL AND others <> '{}' THEN
        SELECT way.tag, way.events INTO rarest, fewest FROM (
            SELECT o.tag, (SELECT count(*) FROM (
                SELECT FROM log_tags AS t WHERE t.tag = o.tag AND t.position > above AND t.position < below LIMIT 10000
            ) AS counted) AS events
            FROM unnest(others) AS o (tag)
        ) AS way
        ORDER BY way.events LIMIT 1;
        -- More events of the types than that need not be counted.
        IF NOT any_type AND fewest > (
            SELECT count(*) FROM unnest(wanted) AS w (type) CROSS JOIN LATERAL (
                SELECT FROM log_events AS e WHERE (e.type, e.position) > (w.type, above) AND (e.type, e.position) < (w.type, below)
                ORDER BY e.type, e.position LIMIT fewest
            ) AS counted
        ) THEN
            rarest := NULL;
        END IF;
    END IF;
    others := array_remove(others, rarest);

    -- Rows are compared, and not columns, so that only the index by type can be meant.
    IF rarest IS NULL AND backwards THEN
        RETURN QUERY SELECT one.position FROM unnest(wanted) AS w (type) CROSS JOIN LATERAL (
            SELECT e.position FROM log_events AS e
            WHERE (e.type, e.position) > (w.type, above) AND (e.type, e.position) < (w.type, below)
              AND (others = '{}' OR cardinality(others) = (
                  SELECT count(*) FROM unnest(others) AS o (tag) JOIN log_tags AS x ON x.tag = o.tag AND x.position = e.position
              ))
            ORDER BY e.type DESC, e.position DESC LIMIT most
        ) AS one;
    ELSIF rarest IS NULL THEN
        RETURN QUERY SELECT one.position FROM unnest(wanted) AS w (type) CROSS JOIN LATERAL (
            SELECT e.position FROM log_events AS e
            WHERE (e.type, e.position) > (w.type, above) AND (e.type, e.position) < (w.type, below)
              AND (others = '{}' OR cardinality(others) = (
                  SELECT count(*) FROM unnest(others) AS o (tag) JOIN log_tags AS x ON x.tag = o.tag AND x.position = e.position
              ))
            ORDER BY e.type, e.position LIMIT most
        ) AS one;
    ELSIF backwards THEN
        RETURN QUERY SELECT t.position FROM log_tags AS t
            WHERE t.tag = rarest AND t.position > above AND t.position < below AND (any_type OR t.type = ANY (wanted))
              AND (others = '{}' OR cardinality(others) = (
                  SELECT count(*) FROM unnest(others) AS o (tag) JOIN log_tags AS x ON x.tag = o.tag AND x.position = t.position
              ))
            ORDER BY t.position DESC LIMIT most;
    ELSE
        RETURN QUERY SELECT t.position FROM log_tags AS t
            WHERE t.tag = rarest AND t.position > above AND t.position < below AND (any_type OR t.type = ANY (wanted))
              AND (others = '{}' OR cardinality(others) = (
                  SELECT count(*) FROM unnest(others) AS o (tag) JOIN log_tags AS x ON x.tag = o.tag AND x.position = t.position
              ))
            ORDER BY t.position LIMIT most;
    END IF;
END
$$;


-- Reads the events that any of the criteria selects. The settings keep every plan on the indexes: one that was made while
-- the log was small would otherwise still read whole tables when it no longer is. So there is one way for each statement,
-- and it is planned once: the server would think of it anew with each call, as it takes the number of values for small.
--
-- Who follows the log, or loads what has one tag, mostly wants much of what there is. So that is gone along directly, for as
-- long as a quarter of each stretch is wanted. What is left is looked for by `log_select`.
CREATE FUNCTION log_read(
    tags text[], types text[], above bigint, below bigint, most integer, backwards boolean
) RETURNS SETOF log_events LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    way     constant text := tags[1];
    wanted  constant text[] := string_to_array(types[1], E'\x1f');
    stretch constant integer := greatest(1, least(1000, 4 * most::bigint));
    along   boolean := cardinality(tags) = 1 AND strpos(way, E'\x1f') = 0 AND NOT backwards;
    bound   bigint;
    found   integer;
BEGIN
    WHILE along LOOP
        IF way = '' THEN
            bound := above + stretch;
            RETURN QUERY SELECT e.* FROM log_events AS e
                WHERE e.position > above AND e.position <= bound AND e.position < below
                  AND (wanted = '{}' OR e.type = ANY (wanted))
                ORDER BY e.position LIMIT most;
        ELSE
            bound := coalesce((
                SELECT t.position FROM log_tags AS t WHERE t.tag = way AND t.position > above AND t.position < below
                ORDER BY t.position OFFSET stretch - 1 LIMIT 1
            ), below);
            RETURN QUERY SELECT e.* FROM (
                    SELECT t.position FROM log_tags AS t WHERE t.tag = way AND t.position > above AND t.position < below
                    ORDER BY t.position LIMIT stretch
                ) AS t JOIN log_events AS e ON e.position = t.position
                WHERE wanted = '{}' OR e.type = ANY (wanted)
                ORDER BY t.position LIMIT most;
        END IF;
        GET DIAGNOSTICS found = ROW_COUNT;
        most := most - found;
        above := bound;
        IF most = 0 OR above >= below THEN
            RETURN;
        END IF;
        along := found >= stretch / 4;
    END LOOP;

    RETURN QUERY
    SELECT e.* FROM (
        SELECT DISTINCT s.position, CASE WHEN backwards THEN -s.position ELSE s.position END AS turn
        FROM unnest(tags, types) AS c (tags, types)
        CROSS JOIN LATERAL log_select(c.tags, c.types, above, below, most, backwards) AS s (position)
        ORDER BY turn LIMIT most
    ) AS selected
    JOIN log_events AS e ON e.position = selected.position
    ORDER BY selected.turn;
END
$$;
