-- database: cinder
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: volumes whose own state is worth a look: on the way somewhere, or not in accord with their attachments
-- scan: volumes and volume_attachment, once a run with --all, by set and not row by row; no status has an index

-- rows: 0..n
SELECT v.id FROM volumes AS v
WHERE v.deleted = 0 AND (
  v.status IN (
    'attaching', 'detaching', 'reserved', 'creating', 'deleting', 'error_deleting', 'uploading', 'downloading',
    'maintenance', 'retyping', 'backing-up', 'restoring-backup', 'awaiting-transfer', 'managing', 'unmanaging',
    'error_managing_deleting', 'extending', 'reverting'
  )
  OR (v.status = 'in-use' AND NOT EXISTS (
    SELECT 1 FROM volume_attachment AS a WHERE a.volume_id = v.id AND a.deleted = 0))
  OR (v.status = 'available' AND EXISTS (
    SELECT 1 FROM volume_attachment AS a WHERE a.volume_id = v.id AND a.deleted = 0))
);
