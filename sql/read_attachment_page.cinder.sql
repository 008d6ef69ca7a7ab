-- database: cinder
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: one page of the live attachments, by primary key
-- params: after = page.after, page = page.rows

-- rows: 0..n
SELECT a.id, a.volume_id, a.instance_uuid FROM volume_attachment AS a
WHERE a.id > :after AND a.deleted = 0 ORDER BY a.id LIMIT :page;
