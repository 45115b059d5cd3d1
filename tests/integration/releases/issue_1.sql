-- What the first release (tag issue-1) leaves in a database that its migrations 0001 to 0005 made: a spec that is
-- searched, one in the middle of its job, whose worker lives, and a key. In the SQL of that release.

UPDATE schema_migrations m SET sha256 = deployed.sha256
FROM (VALUES
    (1, '1da3580847e672778a9565b46fc002eaa07b4a688600fea5071f5bb233dce18b'),
    (2, 'b41e7dce98bb154c59ea95583e53155703664c98d348feeab4d24eec8e35cec6'),
    (3, 'c0535d3c4988e46c9c0cb852578504ba944695ac712bc548a0860fd793bce725'),
    (4, '13b5a4b193f9a9144cfae4e91f2f629f26e6485a1ef419e3e1647ff94edc00a9'),
    (5, '7507a096dbefa2440ac098bef2a6fd0d84ae8ae079b507033d4d5d1ad32e11b2')
) deployed (version, sha256)
WHERE m.version = deployed.version;

INSERT INTO keys (id, name, role, key_sha256)
VALUES ('first-admin', 'first admin key', 'admin', sha256('the-key-of-the-first-release-to-upgrade'));

INSERT INTO models (provider, model, dimension) VALUES ('scripted', 'hash-8', 8);
INSERT INTO catalogs (id, name, version) VALUES ('catalog', 'catalog', '1');
INSERT INTO specs (catalog_id, spec_name, source_kind, current_revision, published_revision, published_model_id)
VALUES ('catalog', 'searched', 'upload', 1, 1, 1), ('catalog', 'under-way', 'upload', 1, NULL, NULL);

INSERT INTO revisions (spec_id, revision, content_sha256, content, bytes, title, openapi_version, operation_count)
SELECT id, 1, encode(sha256(convert_to(spec_name, 'UTF8')), 'hex'), convert_to(spec_name, 'UTF8'), 9, spec_name,
       '3.0.3', CASE spec_name WHEN 'searched' THEN 2 ELSE 12 END
FROM specs;

INSERT INTO operations (spec_id, revision, position, operation_id, method, path, summary, text, text_hash, name_words)
SELECT spec_id, 1, position, 'read' || position, 'GET', '/' || title || '/' || position, title || ' ' || position,
       title || ' ' || position, sha256(convert_to(title || ' ' || position, 'UTF8')), title
FROM revisions, generate_series(0, operation_count - 1) AS position;

-- All of the one, a third of the other.
INSERT INTO vectors (model_id, text_hash, embedding)
SELECT 1, text_hash, array_fill(0.5, ARRAY[8])::vector FROM operations WHERE position < 4;

INSERT INTO jobs (spec_id, catalog_id, spec_name, kind, status, attempts, revision, operation_count, embedded_so_far,
                  planned_revision, planned_model_id, slices, started_at, slice_started_at, completed_at,
                  lease_token, lease_expires_at)
VALUES (1, 'catalog', 'searched', 'spec_write', 'succeeded', 1, 1, 2, 2, 1, 1, 1, now(), now(), now(), NULL, NULL),
       (2, 'catalog', 'under-way', 'spec_write', 'running', 2, 1, 12, 4, 1, 1, 3, now(), now(), NULL,
        '6f1b2c30-aa10-41f0-8d0b-0a1b2c3d4e5f', now() + interval '30 seconds');
INSERT INTO job_events (job_id, event) VALUES (1, 'succeeded'), (2, 'claimed');
