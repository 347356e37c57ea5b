//! The command line: a file per verb; talks to people, decides nothing.
