-- The queue is looked at after every close: with 100,000 files waiting it must not be walked each time.
-- Content that is pending has a row in `attempt`, so what is due is found by its time.
INSERT OR IGNORE INTO attempt (ino) SELECT ino FROM node WHERE pending & 1;
-- Folders to make, and what is to be moved or renamed.
CREATE INDEX node_changes ON node(ino) WHERE pending > 1;
-- What is queued in total, from the index alone.
DROP INDEX node_pending;
CREATE INDEX node_backlog ON node(pending, size) WHERE pending <> 0 AND parent IS NOT NULL;
CREATE INDEX attempt_parked ON attempt(ino) WHERE parked = 1;
