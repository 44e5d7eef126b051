// Package broker is the Redis that tasks travel through. It turns a URL into a client, and stands between asynq and
// that client where asynq is slow or careless: tasks are enqueued, fetched and acknowledged in batches (one script for
// many, one round trip for all who ask at the same time), an idle worker is woken instead of polling, and whoever lost a
// task can't end another's run of it. What it stores is asynq's format, which asynq's own tools read, but for waiting tasks
// of high or low priority: those are on lists of their own. All reliance on asynq's private key names, messages and scripts
// is here.
package broker
