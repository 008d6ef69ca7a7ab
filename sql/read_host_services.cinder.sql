-- database: cinder
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: the services of a host (HOST and HOST@BACKEND), two rows of one service too
-- params: host = compute.id

-- rows: 0..n
SELECT s.id, s.uuid, s.`binary`, s.host, s.report_count, s.updated_at
FROM services AS s
WHERE BINARY SUBSTRING_INDEX(s.host, '@', 1) = :host AND s.deleted = 0;
