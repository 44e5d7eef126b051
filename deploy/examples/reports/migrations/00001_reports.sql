-- Both MySQL and SQLite, which local uses, understand this. Where they differ, give each a folder: migrations/mysql and
-- migrations/sqlite. A migration that was released is never changed: add another one.

-- +goose Up
CREATE TABLE reports (
    month varchar(7) NOT NULL PRIMARY KEY,
    body  text       NOT NULL
);

-- +goose Down
DROP TABLE reports;
