-- database: cinder
-- releases: yoga .. 2026.2
-- purpose: soft-delete, as cinder-manage does, a service of a dead host that owns no volume: cinder's API cannot
-- params: service_id = volume_service.id, service_host = volume_service.host, service_binary = volume_service.binary
-- params: service_uuid = volume_service.uuid, report_count = volume_service.report_count
-- params: seen = volume_service.updated_at
-- guard in sql: volume_service.id is not none
-- guard in sql: volumes.count is 0
-- rows: 1

-- rows: 1
UPDATE services
SET deleted = 1, deleted_at = UTC_TIMESTAMP()
WHERE services.id = :service_id
  AND services.uuid <=> :service_uuid
  AND BINARY services.host = :service_host
  AND services.`binary` = :service_binary
  AND services.deleted = 0
  AND services.report_count = :report_count
  AND services.updated_at <=> :seen
  AND NOT EXISTS (SELECT 1 FROM volumes AS v WHERE v.service_uuid = :service_uuid AND v.deleted = 0);
