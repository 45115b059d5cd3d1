-- A worker that is frozen in the middle of a transaction must not keep its locks: others skip what is locked.

DO $$
BEGIN
    EXECUTE format(
        'ALTER ROLE CURRENT_USER IN DATABASE %I SET idle_in_transaction_session_timeout = %L', current_database(), '20s'
    );
END $$;
