-- The tables task_records and outbox of version 1 were never written to: they are made anew, which, unlike ALTER TABLE,
-- can be run again after an interruption on MySQL as well as on MariaDB.

-- +goose NO TRANSACTION
-- +goose Up
DROP TABLE IF EXISTS outbox, task_records;

CREATE TABLE IF NOT EXISTS task_records (
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

CREATE TABLE IF NOT EXISTS task_tags (
    tag        varchar(64)  NOT NULL,
    created_at datetime(6)  NOT NULL,
    task_id    varchar(128) NOT NULL,
    PRIMARY KEY (tag, created_at, task_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS task_effects (
    task_id    varchar(128) NOT NULL,
    created_at datetime(6)  NOT NULL,
    PRIMARY KEY (task_id),
    KEY idx_task_effects_created_at (created_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- idx_outbox_state serves both ends of the relay: what waits, oldest first, because InnoDB ends every secondary key with
-- the primary one; and what was sent before a time.
CREATE TABLE IF NOT EXISTS outbox (
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
    KEY idx_outbox_state (sent_at, failed_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- +goose Down
DROP TABLE IF EXISTS outbox, task_effects, task_tags, task_records;

CREATE TABLE IF NOT EXISTS task_records (
    id          bigint       NOT NULL AUTO_INCREMENT,
    task_id     varchar(128) NOT NULL,
    task        varchar(64)  NOT NULL,
    queue       varchar(64)  NOT NULL,
    state       varchar(16)  NOT NULL,
    args        mediumtext   NOT NULL,
    result      mediumtext   NOT NULL,
    error       text         NOT NULL,
    worker      varchar(128) NOT NULL,
    retries     bigint       NOT NULL,
    created_at  datetime(6)  NOT NULL,
    started_at  datetime(6)  NULL,
    finished_at datetime(6)  NULL,
    PRIMARY KEY (id),
    UNIQUE KEY idx_task_records_task_id (task_id),
    KEY idx_task_records_created_at (created_at),
    KEY idx_task_records_task_time (task, created_at),
    KEY idx_task_records_queue_time (queue, created_at),
    KEY idx_task_records_state_time (state, created_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS outbox (
    id         bigint       NOT NULL AUTO_INCREMENT,
    task_id    varchar(128) NOT NULL,
    task       varchar(64)  NOT NULL,
    args       mediumtext   NOT NULL,
    options    text         NOT NULL,
    created_at datetime(6)  NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY idx_outbox_task_id (task_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
