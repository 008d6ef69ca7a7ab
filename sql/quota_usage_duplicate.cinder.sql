-- database: cinder
-- releases: yoga .. 2026.2
-- purpose: soft-delete, as cinder-manage does, a second count of one resource; the later one, which cinder uses, stays
-- params: project_id = project.id, twin_id = twin.id, kept_id = twin.kept, resource = twin.resource
-- params: in_use = twin.in_use, reserved = twin.reserved
-- guard in sql: twin.id is not none
-- guard in sql: twin.kept is not none
-- guard in sql: reservations.live is 0
-- guard in sql: reservations.expired is 0
-- rows: 1

-- rows: 2..n
SELECT quota_usages.id FROM quota_usages
WHERE quota_usages.project_id = :project_id AND quota_usages.deleted = 0 FOR UPDATE;

-- rows: 0..n
SELECT reservations.id FROM reservations
WHERE reservations.project_id = :project_id AND reservations.deleted = 0 FOR UPDATE;

-- rows: 1
UPDATE quota_usages
SET deleted = 1, deleted_at = UTC_TIMESTAMP(), race_preventer = NULL
WHERE quota_usages.id = :twin_id
  AND quota_usages.project_id = :project_id
  AND BINARY quota_usages.resource = :resource
  AND quota_usages.in_use = :in_use
  AND quota_usages.reserved = :reserved
  AND quota_usages.deleted = 0
  AND EXISTS (
    SELECT 1 FROM (
      SELECT DISTINCT k.id FROM quota_usages AS k
      WHERE k.id = :kept_id
        AND k.id > :twin_id
        AND k.project_id = :project_id
        AND BINARY k.resource = :resource
        AND k.deleted = 0
    ) AS kept
  )
  AND NOT EXISTS (
    SELECT 1 FROM reservations AS r WHERE r.project_id = :project_id AND r.deleted = 0
  )
  AND NOT EXISTS (
    SELECT 1 FROM reservations AS r WHERE r.usage_id = :twin_id AND r.deleted = 0
  );
