-- Version 3: which followers have once been where the log ended. Whatever was followed before this was known counts as that.

CREATE TABLE twofold_caught_up (
    follower text COLLATE "C" NOT NULL PRIMARY KEY
);

INSERT INTO twofold_caught_up (follower) SELECT DISTINCT follower FROM twofold_segments;
