-- database: placement
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: every resource provider's generation, to prove that this is the database behind the API

-- rows: 0..n
SELECT p.uuid, p.generation FROM resource_providers AS p;
