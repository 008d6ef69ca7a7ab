-- database: cinder
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: who works on a volume, and whether that service has reported within its default time to be called down
-- params: volume_id = volume.id

-- rows: 0..1
SELECT w.status, COALESCE(s.updated_at > UTC_TIMESTAMP() - INTERVAL 60 SECOND, 0) AS alive
FROM workers AS w LEFT JOIN services AS s ON s.id = w.service_id AND s.deleted = 0
WHERE w.resource_type = 'Volume' AND w.resource_id = :volume_id;
