//! What the system calls mean here: inodes, handles, attributes, rename and unlink rules.
