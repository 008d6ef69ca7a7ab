-- database: nova_api
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: builds that no host has taken yet and that name an image, as their own or as the source of a volume
-- params: image_id = image.id

-- rows: 0..n
SELECT b.instance_uuid FROM build_requests AS b
LEFT JOIN request_specs AS s ON s.instance_uuid = b.instance_uuid
WHERE INSTR(b.instance, :image_id) > 0 OR INSTR(b.block_device_mappings, :image_id) > 0 OR INSTR(s.spec, :image_id) > 0;
