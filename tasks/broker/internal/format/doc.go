// Package format is how tasks are stored in Redis, as far as the broker and its workers both know it. Begin reading with
// keys.go: the names of all keys, asynq's and ours. encode.go and decode.go have asynq's message of a task, script.go the
// scripts: one file in lua a script, those of workers in lua/fetch, and functions that several of them include in lua/lib.
//
// The hash of a task (see TaskKey) has asynq's fields
//
//	msg            the message
//	state          pending, active, scheduled, retry, archived or completed
//	pending_since  Unix time in ns; of a task that ours have fetched it stays
//	unique_key     the key of its uniqueness
//	result         of the last attempt that left one; a revoked task's begins with !REVOKED
//
// and ours
//
//	owner       token of the last delivery: worker, |, life, ., number of the delivery
//	began       when that was fetched, Unix time in ms
//	attempts    JSON objects, one a line
//	progress    JSON, of the last delivery
//	crashes     how many deliveries ended with the death of their worker
//	prio, tags  as they were given
//	watch       set when somebody waits for the task: its changes are published
//	revoked     the reason, while the task is active or waits to be dropped
//	terminate   set when a worker is to end it
//	command     name of the last call that revoked it or ran it again
package format
