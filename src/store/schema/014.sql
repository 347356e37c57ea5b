-- The checksums of a cached file's blocks, where they are not behind its bytes in the cache folder:
-- such a file is read by the kernel itself, and never changed any more.
ALTER TABLE block_map ADD COLUMN sums BLOB;
