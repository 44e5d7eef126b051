-- The last tick of each durable schedule whose task has gone into the outbox.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS schedule_ticks (
    entry varchar(64) NOT NULL,
    rule  varchar(64) NOT NULL,
    tick  bigint      NOT NULL,
    PRIMARY KEY (entry)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- +goose Down
DROP TABLE schedule_ticks;
