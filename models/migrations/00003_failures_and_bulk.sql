-- What tells failures apart by their errors, and what is done to many tasks at once. The records themselves stay as they are, so
-- that only failures cost more.

-- +goose NO TRANSACTION
-- +goose Up
-- The last failure of each task. idx_task_failures_group finds a group's tasks in the order in which they are listed.
CREATE TABLE IF NOT EXISTS paidui_task_failures (
    task_id     varchar(128) NOT NULL,
    error_group varchar(16)  NOT NULL,
    run         bigint       NOT NULL,
    created_at  datetime(6)  NOT NULL,
    PRIMARY KEY (task_id),
    KEY idx_task_failures_group (error_group, created_at, task_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- How many tasks failed in each span of time, which begins at a time and lasts for some minutes.
CREATE TABLE IF NOT EXISTS paidui_failure_counts (
    span        bigint       NOT NULL,
    at          datetime(6)  NOT NULL,
    error_group varchar(16)  NOT NULL,
    task        varchar(64)  NOT NULL,
    queue       varchar(64)  NOT NULL,
    version     varchar(64)  NOT NULL,
    failures    bigint       NOT NULL,
    first_us    bigint       NOT NULL,
    last_us     bigint       NOT NULL,
    example     varchar(128) NOT NULL,
    error       varchar(255) NOT NULL,
    PRIMARY KEY (span, at, error_group, task, queue, version)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What operators do to many tasks at once, and how far it is.
CREATE TABLE IF NOT EXISTS paidui_bulk (
    id          varchar(128) NOT NULL,
    action      varchar(16)  NOT NULL,
    filter      text         NOT NULL,
    terminate   boolean      NOT NULL,
    priority    varchar(16)  NOT NULL,
    made_by     varchar(128) NOT NULL,
    state       varchar(16)  NOT NULL,
    stop        boolean      NOT NULL,
    step        bigint       NOT NULL,
    position    varchar(255) NOT NULL,
    looked_at   bigint       NOT NULL,
    done        bigint       NOT NULL,
    skipped     bigint       NOT NULL,
    gone        bigint       NOT NULL,
    failed      bigint       NOT NULL,
    failures    text         NOT NULL,
    error       varchar(255) NOT NULL,
    created_at  datetime(6)  NOT NULL,
    started_at  datetime(6)  NULL,
    finished_at datetime(6)  NULL,
    PRIMARY KEY (id),
    KEY idx_bulk_created_at (created_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- +goose Down
DROP TABLE IF EXISTS paidui_bulk, paidui_failure_counts, paidui_task_failures;
