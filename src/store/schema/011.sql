-- Calls that put a node somewhere on the service and were not answered: they may have been
-- carried out.
CREATE TABLE unanswered (
    ino    INTEGER PRIMARY KEY REFERENCES node(ino) ON DELETE CASCADE,
    at     INTEGER NOT NULL,   -- when it was asked for at the latest
    folder INTEGER NOT NULL,   -- where it was to be put
    name   TEXT NOT NULL       -- and its name there
);
