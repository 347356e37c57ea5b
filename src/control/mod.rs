//! The unix socket: protocol, server, client.
