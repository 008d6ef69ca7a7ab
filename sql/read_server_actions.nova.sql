-- database: nova
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: what was done to one server, and the host whose nova-compute ended its guest
-- params: server_id = server.id

-- rows: 0..n
SELECT a.id, (
    SELECT MAX(e.host) FROM instance_actions_events AS e
    WHERE e.action_id = a.id AND e.event = 'compute_terminate_instance' AND e.result = 'Success'
  ) AS ended_on
FROM instance_actions AS a WHERE a.instance_uuid = :server_id;
