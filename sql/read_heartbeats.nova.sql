-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: each service's last heartbeat in a cell, to prove that this is the database behind the API

-- rows: 0..n
SELECT s.`binary`, s.host, s.last_seen_up AS seen FROM services AS s WHERE s.deleted = 0;
