-- database: cinder
-- kind: read
-- releases: yoga .. 2026.2
-- purpose: one page of the projects that cinder counts anything for, by the index on the project
-- params: after = page.after, page = page.rows

-- rows: 0..n
SELECT q.project_id FROM quota_usages AS q
WHERE q.project_id > :after AND q.deleted = 0
GROUP BY q.project_id ORDER BY q.project_id LIMIT :page;
