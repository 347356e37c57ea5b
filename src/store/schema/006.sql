-- A version that is a whole copy of a file of the service is copied there, unless that was refused.
ALTER TABLE attempt ADD COLUMN no_copy INTEGER NOT NULL DEFAULT 0; -- 1: this version is sent
-- The columns `node` and `xid` of a copy that was begun are '' and the id of the file that is copied.
