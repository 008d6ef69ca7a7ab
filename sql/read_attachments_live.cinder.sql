-- database: cinder
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: the live attachments of a page of volumes
-- params: volume_ids = page.volumes

-- rows: 0..n
SELECT a.id FROM volume_attachment AS a WHERE a.volume_id IN :volume_ids AND a.deleted = 0;
