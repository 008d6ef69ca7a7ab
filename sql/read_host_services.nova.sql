-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: the nova-compute of a host in each cell, removed ones too: when it was last heard of
-- params: host = compute.id

-- rows: 0..n
SELECT s.id, s.uuid, s.host, s.report_count, s.last_seen_up, s.deleted
FROM services AS s
WHERE s.host = :host AND BINARY s.host = :host AND s.`binary` = 'nova-compute';
