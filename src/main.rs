//! Parses, hands over.

fn main() {}
