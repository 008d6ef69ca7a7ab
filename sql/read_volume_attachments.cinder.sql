-- database: cinder
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: the hosts of a volume's live attachments, and whether one was ever named; the API tells only of attached ones
-- params: volume_id = volume.id

-- rows: 0..n
SELECT a.id, a.attached_host,
  (a.connector IS NOT NULL AND a.connector NOT IN ('', 'null', '{}')) AS has_connector
FROM volume_attachment AS a WHERE a.volume_id = :volume_id AND a.deleted = 0;
