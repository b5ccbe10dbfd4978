-- The schema of a log, version 2: of which content an id stands for. Empty where that is not known, as for what processes of
-- version 1 add.

ALTER TABLE log_handled ADD COLUMN digest bytea NOT NULL DEFAULT '';


-- Decides a batch of appends in order, each with those before it in sight, and stores the accepted ones.
--
-- Arrays whose names begin alike are columns of one list. Appends are counted from 1; `sizes` has their numbers of events.
-- `probe_*` are conditions of one tag, `ask_*` all other ones (several tags or types are joined by U+001F, '' is any).
-- `step_*` is what the appends have to do with each other, in their order; most batches have none:
--   kind 1: an append has the id of append `step_on` before it; `step_behind` and `step_after` are that one's content and its
--           own, as numbers that are equal where these are, and 0 where a content is not known
--   kind 2: an append fails if an event went into set `step_on` after `step_after`, or after append `step_behind` if that
--           is not 0, and it fails with that one
--   kind 3: an append puts its event number `step_after` (from 0) into set `step_on`
--
-- Returns the head before, and the places and positions of the appends that added nothing: those of an earlier append with
-- the same id (if that was of another content, the first is taken from -1), or -1 and the position of an event that stands
-- against it (0: unknown).
--
-- `writer` and `number` make the call repeatable: a second one with both the same returns what the first one did, and one
-- with a lower number than the writer's latest is refused. `acknowledged` is the number of one that nobody will ask about.
CREATE FUNCTION log_append_digests(
    writer uuid, number bigint, acknowledged bigint, recorded_at bigint, sizes integer[],
    event_append integer[], event_id text[], event_type text[], event_version integer[], event_tags bytea[],
    event_data bytea[], event_metadata bytea[],
    tag_append integer[], tag_event integer[], tag_name text[], tag_type text[],
    id_append integer[], id_name text[], id_digest bytea[],
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
    state   integer[] := array_fill(0, ARRAY[appends]);  -- by append: 0 accepted, 1 repeated, 2 in conflict, 3 of another content
    low     bigint[] := array_fill(0::bigint, ARRAY[appends]);
    high    bigint[] := low;
    content integer[] := state;  -- by append: what its id stands for, 0 if that is not known
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
    WHERE b.writer = log_append_digests.writer AND b.number >= log_append_digests.number LIMIT 1;
    IF hit.number = log_append_digests.number THEN
        head := hit.head; places := hit.places; firsts := hit.firsts; lasts := hit.lasts; stored := true;
        RETURN;
    ELSIF hit.number > log_append_digests.number THEN
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
            SELECT asked.place, h.first, h.last, h.digest NOT IN ('', asked.digest) AND asked.digest <> '' AS differs
            FROM unnest(id_append, id_name, id_digest) AS asked (place, id, digest) JOIN log_handled AS h ON h.id = asked.id
        LOOP
            odd := true; low[hit.place] := hit.first; high[hit.place] := hit.last;
            state[hit.place] := CASE WHEN hit.differs THEN 3 ELSE 1 END;
        END LOOP;
    END IF;

    shift := array_fill(top, ARRAY[appends]);
    IF odd OR steps > 0 OR cardinality(id_append) > 0 THEN
        FOR place IN 1 .. appends LOOP
            WHILE step <= steps AND step_append[step] = place AND step_kind[step] < 3 LOOP
                IF step_kind[step] = 1 THEN
                    peer := step_on[step];
                    -- What was known before the batch has been looked at already.
                    IF state[peer] <> 2 AND state[place] IN (0, 2) THEN
                        content[place] := CASE WHEN state[peer] = 0 THEN step_behind[step] ELSE content[peer] END;
                        state[place] := CASE WHEN step_after[step] NOT IN (0, content[place]) AND content[place] <> 0 THEN 3 ELSE 1 END;
                        low[place] := low[peer]; high[place] := high[peer];
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
                places := places || place; lasts := lasts || high[place];
                firsts := firsts || CASE WHEN state[place] = 3 THEN -1 - low[place] ELSE low[place] END;
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
    SELECT shift[e.place] + e.number, e.id, e.type, e.version, e.tags, e.data, e.metadata, log_append_digests.recorded_at
    FROM unnest(event_append, event_id, event_type, event_version, event_tags, event_data, event_metadata)
        WITH ORDINALITY AS e (place, id, type, version, tags, data, metadata, number)
    WHERE state[e.place] = 0;
    stored := FOUND;

    INSERT INTO log_tags (tag, position, type)
    SELECT t.tag, shift[t.place] + t.number, t.type
    FROM unnest(tag_append, tag_event, tag_name, tag_type) AS t (place, number, tag, type)
    WHERE state[t.place] = 0;

    IF cardinality(id_append) > 0 THEN
        INSERT INTO log_handled (id, first, last, digest)
        SELECT a.id, low[a.place], high[a.place], a.digest
        FROM unnest(id_append, id_name, id_digest) AS a (place, id, digest)
        WHERE state[a.place] = 0;
        stored := stored OR FOUND;
    END IF;

    IF stored THEN
        IF writer IS NOT NULL THEN
            DELETE FROM log_batches AS b WHERE b.writer = log_append_digests.writer AND b.number = acknowledged;
            INSERT INTO log_batches (writer, number, head, places, firsts, lasts)
            VALUES (log_append_digests.writer, log_append_digests.number, log_append_digests.head, places, firsts, lasts);
        END IF;
        PERFORM pg_notify('twofold_log', current_schema());
    END IF;
END
$$;


-- What processes of version 1 call. They know no contents, so what they append stands for any.
CREATE OR REPLACE FUNCTION log_append(
    writer uuid, number bigint, acknowledged bigint, recorded_at bigint, sizes integer[],
    event_append integer[], event_id text[], event_type text[], event_version integer[], event_tags bytea[],
    event_data bytea[], event_metadata bytea[],
    tag_append integer[], tag_event integer[], tag_name text[], tag_type text[],
    id_append integer[], id_name text[],
    probe_append integer[], probe_tag text[], probe_types text[], probe_after bigint[],
    ask_append integer[], ask_tags text[], ask_types text[], ask_after bigint[],
    step_append integer[], step_kind integer[], step_on integer[], step_behind integer[], step_after bigint[],
    OUT head bigint, OUT places integer[], OUT firsts bigint[], OUT lasts bigint[], OUT stored boolean
) LANGUAGE sql
SET search_path FROM CURRENT
AS $$
SELECT * FROM log_append_digests(
    writer, number, acknowledged, recorded_at, sizes, event_append, event_id, event_type, event_version, event_tags,
    event_data, event_metadata, tag_append, tag_event, tag_name, tag_type, id_append, id_name, array_fill(''::bytea,
    ARRAY[cardinality(id_name)]), probe_append, probe_tag, probe_types, probe_after, ask_append, ask_tags,
    ask_types, ask_after, step_append, step_kind, step_on, step_behind, step_after
)
$$;
