-- How often the names in a folder have changed: what was read of it is right as long as this is
-- the same.
ALTER TABLE node ADD COLUMN names INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER name_came AFTER INSERT ON node WHEN new.parent IS NOT NULL BEGIN
    UPDATE node SET names = names + 1 WHERE ino = new.parent;
END;
CREATE TRIGGER name_went AFTER DELETE ON node WHEN old.parent IS NOT NULL BEGIN
    UPDATE node SET names = names + 1 WHERE ino = old.parent;
END;
CREATE TRIGGER name_changed AFTER UPDATE OF parent, name ON node
    WHEN old.parent IS NOT new.parent OR old.name IS NOT new.name BEGIN
    UPDATE node SET names = names + 1 WHERE ino IN (old.parent, new.parent);
END;

-- Of a folder that was removed while a call to move it was not answered: where else it may lie.
ALTER TABLE removal ADD COLUMN may_be_in INTEGER;
