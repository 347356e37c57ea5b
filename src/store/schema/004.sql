-- What the user wants to have at hand without the network: files, and folders with all that is in
-- them, now and later.
CREATE TABLE pin (
    ino INTEGER PRIMARY KEY
);
-- A pin ends with its node.
CREATE TRIGGER pin_ends AFTER DELETE ON node BEGIN
    DELETE FROM pin WHERE ino = OLD.ino;
END;

-- Files whose cached content was compared with the service's checksum. Content never changes
-- under an id, so the answer stands for good.
CREATE TABLE checked (
    file_id TEXT PRIMARY KEY,
    sound   INTEGER NOT NULL
) WITHOUT ROWID;
