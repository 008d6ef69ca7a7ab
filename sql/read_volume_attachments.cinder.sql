-- database: cinder
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: the hosts of a volume's live attachments, which the API tells only of those that are attached
-- params: volume_id = volume.id

-- rows: 0..n
SELECT a.id, a.attached_host FROM volume_attachment AS a WHERE a.volume_id = :volume_id AND a.deleted = 0;
