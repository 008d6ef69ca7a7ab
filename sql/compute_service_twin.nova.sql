-- database: nova
-- releases: yoga .. 2026.2
-- purpose: soft-delete, as nova does, the service of a host whose name another cell has as well: by API both would go
-- params: service_id = service.id, service_uuid = service.uuid, report_count = service.report_count, host = compute.id
-- guard in sql: service.uuid is not none
-- guard in sql: servers.count is 0
-- guard by api: migrations.count is 0
-- rows: 1

-- rows: 1
UPDATE services
SET deleted = id, deleted_at = UTC_TIMESTAMP()
WHERE services.id = :service_id
  AND services.uuid = :service_uuid
  AND BINARY services.host = :host
  AND services.`binary` = 'nova-compute'
  AND services.deleted = 0
  AND services.report_count = :report_count
  AND NOT EXISTS (SELECT 1 FROM instances AS i WHERE i.host = :host AND i.deleted = 0)
  AND NOT EXISTS (
    SELECT 1 FROM migrations AS m
    WHERE m.source_compute = :host AND m.deleted = 0
      AND m.status NOT IN ('confirmed', 'reverted', 'error', 'failed', 'completed', 'cancelled', 'done')
  );
