-- The index goes by its name's absence, for MySQL has no ADD KEY IF NOT EXISTS: a migration that was interrupted runs again.

-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE articles MODIFY content mediumtext NOT NULL;

SET @statement = IF(EXISTS (
    SELECT 1 FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND table_name = 'outbox' AND index_name = 'idx_outbox_task'
), 'DO 0', 'ALTER TABLE outbox ADD KEY idx_outbox_task (task)');
PREPARE add_key FROM @statement;
EXECUTE add_key;
DEALLOCATE PREPARE add_key;

-- +goose Down
ALTER TABLE outbox DROP KEY idx_outbox_task;
