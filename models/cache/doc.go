// Package cache keeps values of the database in Redis, as JSON, and keeps them true: after a committed write no reader
// is left with the value of before.
package cache
