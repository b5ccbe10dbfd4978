-- What followers keep beside the views' rows, version 1. Later versions are files of their own; this one never changes again.

CREATE TABLE twofold_segments (
    follower    text COLLATE "C" NOT NULL,
    low         bigint NOT NULL,
    high        bigint NOT NULL,
    position    bigint NOT NULL,
    fence       bigint NOT NULL DEFAULT 0,
    owner       text NOT NULL DEFAULT '',
    lease_until timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (follower, low)
);

CREATE TABLE twofold_parked (
    follower  text COLLATE "C" NOT NULL,
    lane      text COLLATE "C" NOT NULL,
    position  bigint NOT NULL,
    error     text NOT NULL,
    attempts  integer NOT NULL,
    parked_at bigint NOT NULL,
    retry     boolean NOT NULL DEFAULT false,
    PRIMARY KEY (follower, lane, position)
);
