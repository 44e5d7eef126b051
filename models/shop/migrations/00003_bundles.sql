-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS task_bundles (
    id       bigint      NOT NULL AUTO_INCREMENT,
    first_at datetime(6) NOT NULL,
    last_at  datetime(6) NOT NULL,
    old      tinyint(1)  NOT NULL,
    look_at  datetime(6) NOT NULL,
    tasks    bigint      NOT NULL,
    kinds    text        NOT NULL,
    probe    text        NOT NULL,
    records  mediumblob  NOT NULL,
    PRIMARY KEY (id),
    KEY idx_task_bundles_last_at (last_at),
    KEY idx_task_bundles_look (old, look_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- +goose Down
DROP TABLE IF EXISTS task_bundles;
