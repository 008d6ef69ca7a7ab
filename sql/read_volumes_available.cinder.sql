-- database: cinder
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: which of a page of volumes cinder calls free, or in-use by attachments of no such server
-- params: volume_ids = page.volumes

-- rows: 0..n
SELECT v.id FROM volumes AS v WHERE v.id IN :volume_ids AND v.deleted = 0 AND v.status = 'available';
