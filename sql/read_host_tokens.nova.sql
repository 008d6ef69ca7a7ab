-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: how many console tokens lead to a host
-- params: host = compute.id

-- rows: 1
SELECT COUNT(*) AS tokens FROM console_auth_tokens AS t WHERE t.host = :host AND BINARY t.host = :host;
