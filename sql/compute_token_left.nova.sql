-- database: nova
-- releases: yoga .. 2026.2
-- purpose: forget the console tokens of a host that is gone, which nobody else does
-- params: host = compute.id
-- guard in sql: service.uuid is none
-- rows: 1..n

-- rows: 1..n
DELETE FROM console_auth_tokens
WHERE BINARY console_auth_tokens.host = :host
  AND NOT EXISTS (
    SELECT 1 FROM services AS s WHERE s.host = :host AND s.`binary` = 'nova-compute' AND s.deleted = 0
  );
