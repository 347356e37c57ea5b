-- What the user wants to have at hand without the network: files, and folders with all that is in
-- them, now and later.
CREATE TABLE pin (
    ino INTEGER PRIMARY KEY
);
-- A pin ends with its node.
CREATE TRIGGER pin_ends AFTER DELETE ON node BEGIN
    DELETE FROM pin WHERE ino = OLD.ino;
END;
