-- Whose it is: 0 the account's own, 1 somebody else's and may be changed, 2 for reading only.
ALTER TABLE node ADD COLUMN access INTEGER NOT NULL DEFAULT 0;
-- What the service refused, so that it is not asked for again soon, over restarts too: a file's link
-- (subject: its id) or a folder's listing (subject: its id in decimal), with its words.
CREATE TABLE refused (
    kind    INTEGER NOT NULL,  -- 1 folder, 2 file
    subject TEXT NOT NULL,
    until   INTEGER NOT NULL,  -- nanoseconds since 1970
    gone    INTEGER NOT NULL,  -- 1: the service does not have it
    said    TEXT NOT NULL,
    PRIMARY KEY (kind, subject)
) WITHOUT ROWID;
