// Package broker is a task in Redis: it stores tasks, finds, revokes and watches them, and checks what holds them. Package
// fetch has the worker's side; package format has what both sides know of the format: names of keys, messages, and the
// scripts, which are files in internal/format/lua. The format is asynq's, which asynq's own tools read, but for waiting tasks
// of high or low priority: those are on lists of their own.
//
// Begin reading with [Open] (broker.go) and [Broker.Enqueue] (enqueue.go), which stores messages. Then, by the beginnings of
// the files' names:
//
//	enqueue_       the message, its script, a gate, chosen ids on a Redis Cluster, the wait for the round trip
//	find_          a task by its id, states of many, what waits in a queue
//	revoke_        one task, or all with a tag
//	dead_letters_  the list, and running again
//	watch_         waiting for what becomes of a task
//	queue_         how queues stand, pausing, purging
//	check_         whether lists and tasks contradict each other, and the mending of that
//	workers        which workers there are, and what they can run
//
// A Broker has these goroutines: two for each batch of enqueues that is under way, at most (see redisx.Batcher); while
// somebody watches, one that receives events and one that checks for lost ones; and those that fetchers start with
// [Broker.Go]. They end with [Broker.Close].
package broker
