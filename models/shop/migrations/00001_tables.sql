-- MySQL commits every CREATE TABLE by itself: IF NOT EXISTS lets a migration that was interrupted run again.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS banners (
    id         bigint       NOT NULL AUTO_INCREMENT,
    title      varchar(64)  NOT NULL,
    image      varchar(255) NOT NULL,
    link       varchar(255) NOT NULL,
    orders     bigint       NOT NULL,
    is_show    boolean      NOT NULL,
    is_delete  boolean      NOT NULL,
    created_at datetime(6)  NOT NULL,
    updated_at datetime(6)  NOT NULL,
    PRIMARY KEY (id),
    KEY idx_banners_visible (is_delete, is_show, orders)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS goods (
    id         bigint       NOT NULL AUTO_INCREMENT,
    name       varchar(128) NOT NULL,
    price      bigint       NOT NULL,
    stock      bigint       NOT NULL,
    starts_at  datetime(6)  NOT NULL,
    ends_at    datetime(6)  NOT NULL,
    created_at datetime(6)  NOT NULL,
    updated_at datetime(6)  NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY idx_goods_name (name),
    CONSTRAINT chk_goods_price CHECK (price >= 0),
    CONSTRAINT chk_goods_stock CHECK (stock >= 0)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS orders (
    id         bigint       NOT NULL AUTO_INCREMENT,
    order_no   varchar(32)  NOT NULL,
    user_id    bigint       NOT NULL,
    goods_id   bigint       NOT NULL,
    task_id    varchar(128) NOT NULL,
    created_at datetime(6)  NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY idx_orders_order_no (order_no),
    UNIQUE KEY idx_orders_user_goods (user_id, goods_id),
    UNIQUE KEY idx_orders_task_id (task_id),
    KEY idx_orders_goods_id (goods_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS users (
    id         bigint       NOT NULL AUTO_INCREMENT,
    mobile     varchar(16)  NOT NULL,
    name       varchar(32)  NOT NULL,
    photo      varchar(255) NOT NULL,
    intro      varchar(255) NOT NULL,
    certi      varchar(64)  NOT NULL,
    created_at datetime(6)  NOT NULL,
    updated_at datetime(6)  NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY idx_users_mobile (mobile)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS followings (
    id         bigint      NOT NULL AUTO_INCREMENT,
    user_id    bigint      NOT NULL,
    target_id  bigint      NOT NULL,
    created_at datetime(6) NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY idx_followings_user_target (user_id, target_id),
    KEY idx_followings_user_time (user_id, created_at),
    KEY idx_followings_target_id (target_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS articles (
    id         bigint       NOT NULL AUTO_INCREMENT,
    user_id    bigint       NOT NULL,
    title      varchar(128) NOT NULL,
    content    text         NOT NULL,
    created_at datetime(6)  NOT NULL,
    updated_at datetime(6)  NOT NULL,
    PRIMARY KEY (id),
    KEY idx_articles_user_id (user_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS sms_messages (
    id         bigint       NOT NULL AUTO_INCREMENT,
    task_id    varchar(128) NOT NULL,
    mobile     varchar(16)  NOT NULL,
    code       varchar(8)   NOT NULL,
    content    varchar(255) NOT NULL,
    provider   varchar(16)  NOT NULL,
    serial_no  varchar(64)  NOT NULL,
    fee        bigint       NOT NULL,
    error      varchar(255) NOT NULL,
    created_at datetime(6)  NOT NULL,
    updated_at datetime(6)  NOT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY idx_sms_messages_task_id (task_id),
    KEY idx_sms_messages_mobile_time (mobile, created_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

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

-- +goose Down
DROP TABLE IF EXISTS outbox, task_records, sms_messages, articles, followings, users, orders, goods, banners;
