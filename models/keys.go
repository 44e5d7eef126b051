package models

import (
	"encoding/json"

	"gorm.io/gorm"
)

// UniqueKey is a unique index of one column.
//
// Its functions look up each value by itself on MySQL and MariaDB, and lock no row but those that they find. For an IN
// list, even with FORCE INDEX, MySQL reads all rows while the table is small, and waits for those that others have not
// committed yet.
type UniqueKey struct{ Table, Index, Column string }

// DeleteKeys deletes the rows with these values in the key's column.
func DeleteKeys[V int64 | string](tx *gorm.DB, key UniqueKey, values []V) *gorm.DB {
	if tx.Name() == "sqlite" { // where a transaction has the whole database
		return tx.Exec("DELETE FROM "+key.Table+" WHERE "+key.Column+" IN ?", values)
	}
	given, list := lookup(key, values)
	return tx.Exec("DELETE t FROM "+given, list)
}

// SetKeys sets another column of the rows with these values in the key's column.
func SetKeys[V int64 | string](tx *gorm.DB, key UniqueKey, values []V, column string, to any) *gorm.DB {
	if tx.Name() == "sqlite" {
		return tx.Exec("UPDATE "+key.Table+" SET "+column+" = ? WHERE "+key.Column+" IN ?", to, values)
	}
	given, list := lookup(key, values)
	return tx.Exec("UPDATE "+given+" SET t."+column+" = ?", list, to)
}

// lookup is a join of a list with the rows t that have its values.
func lookup[V int64 | string](key UniqueKey, values []V) (join, list string) {
	kind := "bigint"
	if _, words := any(values).([]string); words {
		kind = "varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
	}
	encoded, _ := json.Marshal(values) // of strings and numbers never fails
	return "JSON_TABLE(?, '$[*]' COLUMNS (value " + kind + " PATH '$')) AS given STRAIGHT_JOIN " + key.Table +
		" AS t FORCE INDEX (" + key.Index + ") ON t." + key.Column + " = given.value", string(encoded)
}
