-- Names of files that stay here: patterns as GLOB takes them, from the option `local_names`.
CREATE TABLE local_name (
    pattern TEXT PRIMARY KEY
) WITHOUT ROWID;
-- Files that the service has not (yet): few among very many.
CREATE INDEX node_unsent ON node(ino) WHERE rid IS NULL AND kind <> 1;
