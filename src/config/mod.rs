//! One table of options, and the sources of the key.
