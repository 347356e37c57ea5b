-- Folders not known whole in which the user decided that names that were not seen count as new.
CREATE TABLE new_names (
    ino INTEGER PRIMARY KEY REFERENCES node(ino) ON DELETE CASCADE
);
-- That ends once all names are known: whole (0), or whole before and doubted now (2).
CREATE TRIGGER new_names_end AFTER UPDATE OF listing ON node
    WHEN OLD.listing NOT IN (0, 2) AND NEW.listing IN (0, 2) BEGIN
    DELETE FROM new_names WHERE ino = NEW.ino;
END;
