//! The account as we know it: names, duplicates, overlay of own changes, freshness.
