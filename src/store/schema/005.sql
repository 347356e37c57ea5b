-- Bytes that were not brought to the disk before their row was stored are lost in part if
-- the machine goes down.
ALTER TABLE staged ADD COLUMN unsynced TEXT; -- the boot in which that is so; NULL: they are on the disk
