-- A folder's listing may be 5 now: cut off at the cap, with all sub-folders. With 1 some may be missing.

-- Folders not known whole in which the user decided that names that were not seen count as new.
CREATE TABLE new_names (
    ino INTEGER PRIMARY KEY REFERENCES node(ino) ON DELETE CASCADE
);
-- That ends once all names are known (0).
CREATE TRIGGER new_names_end AFTER UPDATE OF listing ON node
    WHEN OLD.listing <> 0 AND NEW.listing = 0 BEGIN
    DELETE FROM new_names WHERE ino = NEW.ino;
END;
