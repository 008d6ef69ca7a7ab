-- database: nova_api
-- releases: yoga .. 2026.2
-- purpose: take a host out of an aggregate once its service is gone: nova's own call then answers 404
-- params: aggregate_id = aggregate.id, host = compute.id
-- guard in sql: aggregate.id is not none
-- guard by api: service.uuid is none
-- rows: 1

-- rows: 1
DELETE FROM aggregate_hosts
WHERE aggregate_hosts.aggregate_id = :aggregate_id
  AND BINARY aggregate_hosts.host = :host;
