-- +goose Up
CREATE TABLE notes (
    id bigint AUTO_INCREMENT PRIMARY KEY,
    text varchar(255) NOT NULL
);

-- +goose Down
DROP TABLE notes;
