<<<<<<< HEAD
-- What the user wants to have at hand without the network: files, and folders with all that is in
-- them, now and later.
CREATE TABLE pin (
    ino INTEGER PRIMARY KEY
);
-- A pin ends with its node.
CREATE TRIGGER pin_ends AFTER DELETE ON node BEGIN
    DELETE FROM pin WHERE ino = OLD.ino;
END;
=======
-- Every round of the queue asks for these: the few among very many.
CREATE INDEX attempt_underway ON attempt(ino) WHERE node IS NOT NULL;
CREATE INDEX attempt_due ON attempt(not_before) WHERE parked = 0;
>>>>>>> main
