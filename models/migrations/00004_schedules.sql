-- Entries of schedules that operators have made or changed, how often any of them has changed, and how many ticks of a durable
-- schedule with max_ticks have gone into the outbox.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS paidui_schedules (
    name       varchar(64)  NOT NULL,
    kind       varchar(16)  NOT NULL,
    entry      mediumtext   NOT NULL,
    paused     boolean      NULL,
    base       varchar(64)  NOT NULL,
    changed_by varchar(128) NOT NULL,
    changed_at datetime(6)  NOT NULL,
    PRIMARY KEY (name, kind)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS paidui_schedule_revision (
    id       bigint NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS paidui_schedule_counts (
    entry varchar(64) NOT NULL,
    rule  varchar(64) NOT NULL,
    ticks bigint      NOT NULL,
    PRIMARY KEY (entry)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- +goose Down
DROP TABLE IF EXISTS paidui_schedule_counts;
DROP TABLE IF EXISTS paidui_schedule_revision;
DROP TABLE IF EXISTS paidui_schedules;
