-- When the service was asked last to remove it, where it is not known what became of that: its
-- folder is looked into before it is asked for again. `may_be_in` is there for files too now.
ALTER TABLE removal ADD COLUMN asked_at INTEGER;
-- When it was put there, if by us: the service may not know it everywhere for a while after.
ALTER TABLE removal ADD COLUMN made_at INTEGER;
