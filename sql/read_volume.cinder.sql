-- database: cinder
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: what the API does not tell of a volume: its status as cinder keeps it, the hosts of all its attachments and
-- purpose: whether one was ever named, and whether a living service works on it
-- params: volume_id = volume.id

-- rows: 0..n
SELECT v.status, COALESCE(v.updated_at, v.created_at) AS changed_at, a.id AS attachment_id, a.attached_host,
  COALESCE(a.updated_at, a.created_at) AS attachment_changed_at,
  (a.connector IS NOT NULL AND a.connector NOT IN ('', 'null', '{}')) AS has_connector,
  w.id AS worker_id, s.host AS worker_host,
  COALESCE(s.updated_at > UTC_TIMESTAMP() - INTERVAL 60 SECOND, 0) AS worker_alive
FROM volumes AS v
LEFT JOIN volume_attachment AS a ON a.volume_id = v.id AND a.deleted = 0
LEFT JOIN workers AS w ON w.resource_type = 'Volume' AND w.resource_id = v.id
LEFT JOIN services AS s ON s.id = w.service_id AND s.deleted = 0
WHERE v.id = :volume_id AND v.deleted = 0;
