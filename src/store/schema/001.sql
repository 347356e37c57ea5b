-- Times are nanoseconds since 1970. A NULL is always "unknown" or "none".

-- Every file and folder: what the user wants, and what the service confirmed.
-- A node without parent is detached: unlinked here or gone from the service,
-- kept while a handle is open or until it turns up again elsewhere.
CREATE TABLE node (
    ino          INTEGER PRIMARY KEY AUTOINCREMENT,
    parent       INTEGER REFERENCES node(ino),
    name         BLOB,                       -- as shown here
    kind         INTEGER NOT NULL,           -- 1 folder, 2 file, 3 symbolic link
    mode         INTEGER,                    -- permission bits; NULL: the mount's default
    uid          INTEGER,                    -- NULL: the mount's default
    gid          INTEGER,
    atime        INTEGER NOT NULL,
    mtime        INTEGER NOT NULL,
    ctime        INTEGER NOT NULL,
    btime        INTEGER NOT NULL,
    size         INTEGER NOT NULL DEFAULT 0, -- of the last closed version, bytes
    target       BLOB,                       -- of a symbolic link, once known

    rid          TEXT,                       -- file id, or folder id in decimal
    rparent      INTEGER,                    -- folder id in which the service has it
    rname        TEXT,                       -- its name there, as sent
    rsize        INTEGER,
    rdate        INTEGER,
    whirlpool    TEXT,
    protected    INTEGER NOT NULL DEFAULT 0, -- password or access list on the service
    confirmed_at INTEGER,                    -- when our last own change of it was confirmed

    listed_at    INTEGER,                    -- folders: last listing; NULL: never seen
    listing      INTEGER NOT NULL DEFAULT 0, -- folders: 0 whole, 1 cut off at the cap, 2 empty and doubted
    pending      INTEGER NOT NULL DEFAULT 0, -- 1 content, 2 place, 4 make

    gone_parent  INTEGER,                    -- where a node hung that vanished from the service;
    gone_name    BLOB,                       -- NULL: it hangs, or was unlinked here
    orphan       INTEGER NOT NULL DEFAULT 0, -- unlinked and held by nobody; goes once its upload is settled
    CHECK ((parent IS NULL) = (name IS NULL))
);
CREATE UNIQUE INDEX node_by_name ON node(parent, name) WHERE parent IS NOT NULL;
-- The rowid is the last part of every index: a folder is read in inode order.
CREATE INDEX node_by_parent ON node(parent) WHERE parent IS NOT NULL;
CREATE UNIQUE INDEX file_by_rid ON node(rid) WHERE rid IS NOT NULL AND kind <> 1;
CREATE UNIQUE INDEX folder_by_rid ON node(rid) WHERE rid IS NOT NULL AND kind = 1;
CREATE INDEX folder_by_parent ON node(parent) WHERE kind = 1 AND parent IS NOT NULL;
CREATE INDEX node_by_rparent ON node(rparent) WHERE rparent IS NOT NULL;
CREATE INDEX node_pending ON node(pending) WHERE pending <> 0;

INSERT INTO node(ino, kind, atime, mtime, ctime, btime, rid)
    VALUES (1, 1, 0, 0, 0, 0, '0');

CREATE TABLE xattr (
    ino   INTEGER NOT NULL REFERENCES node(ino) ON DELETE CASCADE,
    name  BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (ino, name)
) WITHOUT ROWID;

-- Objects of the service that are to go.
CREATE TABLE removal (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       INTEGER NOT NULL,             -- as node.kind
    rid        TEXT NOT NULL,
    rparent    INTEGER NOT NULL,
    rname      TEXT NOT NULL,
    after_ino  INTEGER,                      -- not before this node is confirmed
    queued_at  INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    not_before INTEGER NOT NULL DEFAULT 0,
    error      TEXT,
    UNIQUE (kind, rid)
);
CREATE INDEX removal_by_rparent ON removal(rparent);

-- Objects that we removed and that a lagging listing may still show.
CREATE TABLE tombstone (
    kind  INTEGER NOT NULL,
    rid   TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (kind, rid)
) WITHOUT ROWID;

-- The last closed version of a file that the service does not have yet.
CREATE TABLE staged (
    ino        INTEGER PRIMARY KEY REFERENCES node(ino) ON DELETE CASCADE,
    data_file  INTEGER,                      -- number of the file in the staging folder; NULL: no byte is in one
    version    INTEGER NOT NULL,             -- counts the closed versions of this inode
    size       INTEGER NOT NULL,
    map        BLOB NOT NULL,                -- where its bytes are
    base       TEXT,                         -- a file of the service that it reads from; NULL: none
    data_bytes INTEGER NOT NULL,             -- how many of its bytes are in the data file
    saved_at   INTEGER NOT NULL
);

-- Work on a node's intent: when to try again, and how far an upload has come.
CREATE TABLE attempt (
    ino        INTEGER PRIMARY KEY REFERENCES node(ino) ON DELETE CASCADE,
    not_before INTEGER NOT NULL DEFAULT 0,   -- write-back delay or back-off
    attempts   INTEGER NOT NULL DEFAULT 0,
    vain       INTEGER NOT NULL DEFAULT 0,   -- times that this version was sent and did not arrive whole
    error      TEXT,                         -- why the last one failed
    parked     INTEGER NOT NULL DEFAULT 0,   -- 1: failed for good, waits for the user
    -- an upload under way: what was sent where, to ask for its result after a crash
    version    INTEGER,
    folder     INTEGER,
    name       TEXT,
    size       INTEGER,
    whirlpool  TEXT,
    node       TEXT,
    xid        TEXT,
    sent_at    INTEGER                       -- all bytes sent, result not yet known
);

-- Blocks of files of the service in the cache folder.
CREATE TABLE block_map (
    file_id      TEXT PRIMARY KEY,
    size         INTEGER NOT NULL,
    block_size   INTEGER NOT NULL,
    bits         BLOB NOT NULL,
    cached_bytes INTEGER NOT NULL,
    data_file    INTEGER NOT NULL,           -- number of the file in the cache folder
    used_at      INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX block_map_by_use ON block_map(used_at);

CREATE TABLE setting (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
