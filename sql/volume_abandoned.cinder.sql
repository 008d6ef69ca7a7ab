-- database: cinder
-- releases: yoga .. 2026.2
-- purpose: free a volume that has no attachment at all
-- params: volume_id = volume.id, volume_status = volume.status
-- guard in sql: volume.status is one of attaching, detaching, reserved, in-use
-- guard in sql: attachments.live is 0
-- guard in sql: volume.migration is none
-- guard by api: mappings.live is 0
-- rows: 1

-- rows: 1
SELECT volumes.id FROM volumes WHERE volumes.id = :volume_id AND volumes.deleted = 0 FOR UPDATE;

-- rows: 1
UPDATE volumes
SET status = 'available', attach_status = 'detached'
WHERE volumes.id = :volume_id
  AND volumes.deleted = 0
  AND volumes.status = :volume_status
  AND volumes.status IN ('attaching', 'detaching', 'reserved', 'in-use')
  AND (volumes.migration_status IS NULL OR volumes.migration_status IN ('', 'none', 'deleting', 'error', 'success'))
  AND NOT EXISTS (
    SELECT 1 FROM volume_attachment AS a WHERE a.volume_id = :volume_id AND a.deleted = 0
  );

-- rows: 0..n
UPDATE volume_admin_metadata
SET deleted = 1, deleted_at = UTC_TIMESTAMP()
WHERE volume_admin_metadata.volume_id = :volume_id
  AND volume_admin_metadata.`key` = 'attached_mode'
  AND volume_admin_metadata.deleted = 0;

-- rows: 0..1
DELETE FROM workers
WHERE workers.resource_type = 'Volume' AND workers.resource_id = :volume_id;
