-- database: cinder
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: a volume's status as cinder keeps it: the API says creating for managing, and deleting for error_managing_deleting
-- params: volume_id = volume.id

-- rows: 0..1
SELECT v.status FROM volumes AS v WHERE v.id = :volume_id AND v.deleted = 0;
