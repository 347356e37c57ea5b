-- Of a copy that is under way: its id, once the service told it.
ALTER TABLE attempt ADD COLUMN told TEXT;
