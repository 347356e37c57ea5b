//! What the service has: token, ranges, blocks, readers, the block cache.
