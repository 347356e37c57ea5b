-- Versions that read from a file of the service: few among very many, and looked for at every start.
CREATE INDEX staged_layered ON staged(ino) WHERE base IS NOT NULL;
