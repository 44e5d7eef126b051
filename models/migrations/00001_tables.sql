-- Where an earlier build made these tables under names without the prefix, they have been renamed before this runs.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS paidui_task_records (
    task_id     varchar(128) NOT NULL,
    task        varchar(64)  NOT NULL,
    queue       varchar(64)  NOT NULL,
    state       varchar(16)  NOT NULL,
    version     bigint       NOT NULL,
    run         bigint       NOT NULL,
    attempt     bigint       NOT NULL,
    retries     bigint       NOT NULL,
    max_retries bigint       NOT NULL,
    args        mediumtext   NOT NULL,
    result      mediumtext   NOT NULL,
    error       text         NOT NULL,
    worker      varchar(128) NOT NULL,
    tags        text         NOT NULL,
    request_id  varchar(128) NOT NULL,
    room        varchar(64)  NOT NULL,
    created_at  datetime(6)  NOT NULL,
    started_at  datetime(6)  NULL,
    finished_at datetime(6)  NULL,
    PRIMARY KEY (task_id),
    KEY idx_task_records_kind (task, queue, state, created_at, task_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS paidui_task_bundles (
    id       bigint      NOT NULL AUTO_INCREMENT,
    first_at datetime(6) NOT NULL,
    last_at  datetime(6) NOT NULL,
    old      boolean     NOT NULL,
    look_at  datetime(6) NOT NULL,
    tasks    bigint      NOT NULL,
    kinds    text        NOT NULL,
    probe    text        NOT NULL,
    records  mediumblob  NOT NULL,
    filter   blob        NULL,
    PRIMARY KEY (id),
    KEY idx_task_bundles_last_at (last_at),
    KEY idx_task_bundles_look (old, look_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS paidui_task_tags (
    tag        varchar(64)  NOT NULL,
    created_at datetime(6)  NOT NULL,
    task_id    varchar(128) NOT NULL,
    PRIMARY KEY (tag, created_at, task_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS paidui_task_effects (
    task_id    varchar(128) NOT NULL,
    created_at datetime(6)  NOT NULL,
    PRIMARY KEY (task_id),
    KEY idx_task_effects_created_at (created_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- idx_outbox_state serves both ends of the relay: what waits, oldest first, because InnoDB ends every secondary key with
-- the primary one; and what was sent before a time.
CREATE TABLE IF NOT EXISTS paidui_outbox (
    id         bigint       NOT NULL AUTO_INCREMENT,
    task_id    varchar(128) NOT NULL,
    task       varchar(64)  NOT NULL,
    body       mediumtext   NOT NULL,
    created_at datetime(6)  NOT NULL,
    sent_at    datetime(6)  NULL,
    failed_at  datetime(6)  NULL,
    error      varchar(255) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY idx_outbox_task_id (task_id),
    KEY idx_outbox_task (task),
    KEY idx_outbox_state (sent_at, failed_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The last tick of each durable schedule whose task has gone into the outbox.
CREATE TABLE IF NOT EXISTS paidui_schedule_ticks (
    entry varchar(64) NOT NULL,
    rule  varchar(64) NOT NULL,
    tick  bigint      NOT NULL,
    PRIMARY KEY (entry)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- +goose Down
DROP TABLE IF EXISTS paidui_schedule_ticks, paidui_outbox, paidui_task_effects, paidui_task_tags, paidui_task_bundles,
    paidui_task_records;
