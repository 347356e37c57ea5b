-- Files whose cached content was compared with the service's checksum. Content never changes
-- under an id, so the answer stands for good.
CREATE TABLE checked (
    file_id TEXT PRIMARY KEY,
    sound   INTEGER NOT NULL
) WITHOUT ROWID;
