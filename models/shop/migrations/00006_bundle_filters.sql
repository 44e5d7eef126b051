-- +goose NO TRANSACTION
-- +goose Up
SET @statement = IF(EXISTS (
    SELECT 1 FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'task_bundles' AND column_name = 'filter'
), 'DO 0', 'ALTER TABLE task_bundles ADD COLUMN filter blob NULL');
PREPARE add_column FROM @statement;
EXECUTE add_column;
DEALLOCATE PREPARE add_column;

-- +goose Down
ALTER TABLE task_bundles DROP COLUMN filter;
