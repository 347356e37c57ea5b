//! A local 1fichier: the service's simulator for the demo, the tests and the benchmarks.
