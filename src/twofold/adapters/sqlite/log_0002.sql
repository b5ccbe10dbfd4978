-- The schema of a log, version 2: of which content an id stands for. Empty where that is not known, as for what processes of
-- version 1 add.

ALTER TABLE handled ADD COLUMN digest BLOB NOT NULL DEFAULT x'';
