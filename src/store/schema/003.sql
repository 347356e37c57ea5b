-- A tree of a million files in less room: checksums as bytes, and what is said
-- elsewhere in a row said once (`tree/rows.rs` reads and writes it).
UPDATE node SET
    whirlpool = unhex(whirlpool),
    rname = iif(CAST(rname AS BLOB) = name, NULL, rname), -- of files: NULL with a rparent is "as name"
    atime = iif(atime = mtime, 0, atime),                 -- 0: as mtime
    ctime = iif(ctime = mtime, 0, ctime),
    btime = iif(btime = mtime, 0, btime)
WHERE kind <> 1;

-- Detached nodes are few, and looked for at every start.
CREATE INDEX node_detached ON node(ino) WHERE parent IS NULL;
