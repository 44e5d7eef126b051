-- What operators did, and what others tried. Each index ends with the order in which acts are listed, so that a page of any
-- size of the table is read from its beginning; idx_audit_log_at serves pruning, too.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS paidui_audit_log (
    id         bigint       NOT NULL AUTO_INCREMENT,
    at         datetime(6)  NOT NULL,
    who        varchar(128) NOT NULL,
    role       varchar(16)  NOT NULL,
    what       varchar(255) NOT NULL,
    subject    varchar(255) NOT NULL,
    request_id varchar(128) NOT NULL,
    address    varchar(64)  NOT NULL,
    status     bigint       NOT NULL,
    code       bigint       NOT NULL,
    message    varchar(255) NOT NULL,
    task_id    varchar(128) NOT NULL,
    micros     bigint       NOT NULL,
    PRIMARY KEY (id),
    KEY idx_audit_log_at (at, id),
    KEY idx_audit_log_who (who, at, id),
    KEY idx_audit_log_what (what, at, id),
    KEY idx_audit_log_subject (subject, at, id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- +goose Down
DROP TABLE IF EXISTS paidui_audit_log;
