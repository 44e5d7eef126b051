package format

import "time"

const (
	// LeaseTime is asynq's: how long a task is its worker's without a sign of life, for those that know no lives.
	LeaseTime = 30 * time.Second
	// StandardLife is how long a worker may be silent before others take over the tasks that it holds.
	StandardLife = 5 * time.Second
)
