-- Every round of the queue asks for these: the few among very many.
CREATE INDEX attempt_underway ON attempt(ino) WHERE node IS NOT NULL;
CREATE INDEX attempt_due ON attempt(not_before) WHERE parked = 0;
