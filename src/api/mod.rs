//! 1fichier over HTTP: endpoints, wire types, errors, and the pace that all calls pass.
