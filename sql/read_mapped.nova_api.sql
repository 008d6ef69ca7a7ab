-- database: nova_api
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: which of some servers are mapped or requested, to prove that this is the database behind the API
-- params: server_ids = page.servers

-- rows: 0..n
SELECT m.instance_uuid FROM instance_mappings AS m WHERE m.instance_uuid IN :server_ids
UNION SELECT b.instance_uuid FROM build_requests AS b WHERE b.instance_uuid IN :server_ids;
