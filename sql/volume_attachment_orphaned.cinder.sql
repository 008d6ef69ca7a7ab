-- database: cinder
-- releases: yoga .. 2026.2
-- purpose: soft-delete one attachment that no server uses, and recompute the volume's state as cinder does after it
-- params: volume_id = volume.id, volume_status = volume.status
-- params: attachment_id = stale.attachment, attachment_status = stale.status, server_id = stale.server
-- guard in sql: volume.status is one of attaching, detaching, reserved, in-use, available
-- guard in sql: volume.migration is none
-- guard in sql: stale.attachment is not none
-- guard in sql: stale.status is not none
-- guard by api: attachments.stale_in_flight is False
-- guard by api: attachments.stale_frees is False
-- guard by api: attachments.stale_guest is absent
-- rows: 2

-- rows: 1
SELECT volumes.id FROM volumes WHERE volumes.id = :volume_id AND volumes.deleted = 0 FOR UPDATE;

-- rows: 1
UPDATE volume_attachment
SET deleted = 1, deleted_at = UTC_TIMESTAMP(), detach_time = UTC_TIMESTAMP(), attach_status = 'detached'
WHERE volume_attachment.id = :attachment_id
  AND volume_attachment.volume_id = :volume_id
  AND volume_attachment.instance_uuid <=> :server_id
  AND volume_attachment.attach_status = :attachment_status
  AND volume_attachment.deleted = 0;

-- rows: 0..n
UPDATE attachment_specs
SET deleted = 1, deleted_at = UTC_TIMESTAMP()
WHERE attachment_specs.attachment_id = :attachment_id AND attachment_specs.deleted = 0;

-- rows: 0..n
UPDATE volume_admin_metadata
SET deleted = 1, deleted_at = UTC_TIMESTAMP()
WHERE volume_admin_metadata.volume_id = :volume_id
  AND volume_admin_metadata.`key` = 'attached_mode'
  AND volume_admin_metadata.deleted = 0;

-- rows: 1
UPDATE volumes
SET attach_status = COALESCE((
      SELECT MIN(a.attach_status) FROM volume_attachment AS a
      WHERE a.volume_id = :volume_id AND a.deleted = 0 AND LEFT(a.attach_status, 6) <> 'error_'
    ), 'detached'),
    status = CASE attach_status WHEN 'attached' THEN 'in-use' WHEN 'detached' THEN 'available' ELSE attach_status END
WHERE volumes.id = :volume_id
  AND volumes.deleted = 0
  AND volumes.status = :volume_status
  AND volumes.status IN ('attaching', 'detaching', 'reserved', 'in-use', 'available')
  AND (volumes.migration_status IS NULL OR volumes.migration_status IN ('', 'none', 'deleting', 'error', 'success'));

-- rows: 0..1
DELETE FROM workers
WHERE workers.resource_type = 'Volume' AND workers.resource_id = :volume_id;
