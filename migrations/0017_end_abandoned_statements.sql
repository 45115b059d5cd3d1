-- Whoever asked may have given up, or be gone: what it asked for must not go on, and keep its locks.

DO $$
BEGIN
    EXECUTE format(
        'ALTER ROLE CURRENT_USER IN DATABASE %I SET client_connection_check_interval = %L', current_database(), '1s'
    );
END $$;
