-- The schema as the catalog tables tell it: one row a thing, what belongs to extensions aside.

WITH ours AS (
    SELECT c.oid, c.relname, c.relkind, c.relpersistence, c.reloptions
    FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace
      AND NOT EXISTS (
          SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
), functions AS (
    SELECT p.oid, p.proname
    FROM pg_proc p
    WHERE p.pronamespace = 'public'::regnamespace
      AND NOT EXISTS (
          SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e')
)
SELECT 'relation' AS kind, relname::text AS name, concat_ws(' ', relkind, relpersistence, reloptions) AS definition
FROM ours
UNION ALL
SELECT 'column', o.relname || '.' || a.attname,
       concat_ws(' ', row_number() OVER (PARTITION BY o.oid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod),
                 'not null', a.attnotnull, pg_get_expr(d.adbin, d.adrelid), 'identity', a.attidentity,
                 'generated', a.attgenerated, 'storage', a.attstorage)
FROM ours o
JOIN pg_attribute a ON a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
UNION ALL
SELECT 'constraint', o.relname || '.' || c.conname, pg_get_constraintdef(c.oid)
FROM ours o JOIN pg_constraint c ON c.conrelid = o.oid
UNION ALL
SELECT 'index', o.relname, pg_get_indexdef(o.oid) FROM ours o WHERE o.relkind = 'i'
UNION ALL
SELECT 'view', o.relname, pg_get_viewdef(o.oid) FROM ours o WHERE o.relkind = 'v'
UNION ALL
SELECT 'trigger', o.relname || '.' || t.tgname, pg_get_triggerdef(t.oid)
FROM ours o JOIN pg_trigger t ON t.tgrelid = o.oid AND NOT t.tgisinternal
UNION ALL
SELECT 'function', proname, pg_get_functiondef(oid) FROM functions
UNION ALL
SELECT 'statistics', stxname, pg_get_statisticsobjdef(oid)
FROM pg_statistic_ext WHERE stxnamespace = 'public'::regnamespace
UNION ALL
SELECT 'extension', extname, extversion FROM pg_extension
UNION ALL
SELECT 'setting', s.setrole::regrole::text, s.setconfig::text
FROM pg_db_role_setting s JOIN pg_database b ON b.oid = s.setdatabase AND b.datname = current_database()
UNION ALL
SELECT 'migration', name, sha256 FROM schema_migrations
ORDER BY kind, name
