package main

import "context"

// row is one kind of work to measure.
type row struct {
	name    string // what --only takes
	about   string
	metrics []metric
	measure func(context.Context, *lab) ([]measurement, error) // one measurement for each metric, in their order
}

// metric is one figure that a row yields.
type metric struct {
	name   string
	unit   string
	target target
}

// measurement is what a metric came to. Baseline is what it is compared with, 0 where there is nothing to compare.
type measurement struct{ value, baseline float64 }

// one is a row with a single metric, of the row's name.
func one(name, unit string, t target, about string, measure func(context.Context, *lab) (measurement, error)) row {
	return row{
		name: name, about: about, metrics: []metric{{name, unit, t}},
		measure: func(ctx context.Context, l *lab) ([]measurement, error) {
			m, err := measure(ctx, l)
			return []measurement{m}, err
		},
	}
}

// rows are all there are, in the order in which they run.
func rows() []row {
	const tasks, requests = "tasks/s", "requests/s"
	return []row{
		one("run", tasks, ratioAtLeast(3), "no-op tasks of a backlog, one worker; against asynq", measureRun),
		one("run-result", tasks, ratioAtLeast(2.5), "the same with a result that is kept for an hour", measureRunResult),
		one("enqueue", tasks, ratioAtLeast(1.5), "64 goroutines put tasks into a queue; against asynq", measureEnqueue),
		one("enqueue-many", tasks, ratioAtLeast(8), "one goroutine, 1,000 tasks a call; against one by one", measureEnqueueMany),
		{
			name: "pickup", about: "from enqueue to the handler's start on an idle worker; against asynq",
			metrics: []metric{{"pickup-p50", "ms", atMost(1)}, {"pickup-p99", "ms", atMost(5)}},
			measure: measurePickup,
		},
		{
			name: "crash", about: "kill -9 of a worker process to the handler's start in another one; against asynq, of which few samples are taken",
			metrics: []metric{{"crash-p50", "s", atMost(6)}, {"crash-max", "s", atMost(10)}},
			measure: measureCrash,
		},
		one("idle", "commands/s", atMost(25), "Redis commands of an idle worker with five queues; against asynq", measureIdle),
		{
			name: "eta", about: "lateness of tasks that are due at random times; against asynq",
			metrics: []metric{{"eta-late-p99", "s", atMost(1.2)}, {"eta-early", "tasks", atMost(0)}},
			measure: measureETA,
		},
		one("http-tasks", requests, ratioAtLeast(0.45), "POST /v1/tasks; against an empty Echo handler", measureHTTPTasks),
		{
			name: "http-soldout", about: "POST /v1/seckill when all is sold; against an empty Echo handler",
			metrics: []metric{
				{"http-soldout", requests, ratioAtLeast(0.75)},
				{"soldout-redis", "commands/request", atMost(0.01)},
			},
			measure: measureHTTPSoldOut,
		},
		one("http-admitted", requests, ratioAtLeast(0.35), "POST /v1/seckill of users who get in; against an empty Echo handler",
			measureHTTPAdmitted),
		{
			name: "cache-near", about: "GET of banners, and of users by turns, from the process; against an empty Echo handler with as many bytes",
			metrics: []metric{
				{"near-banners", requests, ratioAtLeast(0.85)}, {"near-banners-cpu", "µs/request", noTarget()},
				{"near-users", requests, ratioAtLeast(0.85)}, {"near-users-cpu", "µs/request", noTarget()},
			},
			measure: measureCacheNear,
		},
		{
			name: "cache-redis", about: "the same from Redis",
			metrics: []metric{
				{"redis-banners", requests, ratioAtLeast(0.6)}, {"redis-banners-cpu", "µs/request", noTarget()},
				{"redis-users", requests, ratioAtLeast(0.6)}, {"redis-users-cpu", "µs/request", noTarget()},
			},
			measure: measureCacheRedis,
		},
		{
			name: "stampede", about: "1,000 clients of three API processes ask for one user whom no cache has; the most queries of a round",
			metrics: []metric{{"stampede", "queries", both(atLeast(1), atMost(1))}, {"stampede-all", "ms", noTarget()}},
			measure: measureStampede,
		},
		{
			name: "followings", about: "GET of the last page of 100,000 followings; against the first. And of the first when no cache has them",
			metrics: []metric{{"followings", "ms", ratioAtMost(1.5)}, {"followings-load", "ms", noTarget()}},
			measure: measureFollowings,
		},
		{
			name: "reconcile", about: "1,000,000 users' counters, compared with the database by a worker: all to be repaired, then all right; peak memory over idle",
			metrics: []metric{
				{"reconcile-build", "users/s", noTarget()}, {"reconcile", "users/s", noTarget()},
				{"reconcile-memory", "MiB", atMost(64)}, {"reconcile-progress", "reports", atLeast(2)},
			},
			measure: measureReconcile,
		},
		{
			name: "overload", about: "POST /v1/sms, then POST /v1/seckill by 5,000 clients at once, each again as soon as it was answered;" +
				" what is accepted is checked to be done",
			metrics: []metric{
				{"overload-sms-p99", "ms", atMost(1000)}, {"overload-sms", requests, noTarget()}, {"overload-sms-refused", "%", noTarget()},
				{"overload-seckill-p99", "ms", atMost(1000)}, {"overload-seckill", requests, noTarget()}, {"overload-seckill-refused", "%", noTarget()},
				{"overload-memory", "MiB", atMost(512)},
			},
			measure: measureOverload,
		},
		one("seckill", "orders/s", both(atLeast(10_000), ratioAtLeast(4)),
			"from POST to the committed order, one worker with 512 slots; against one transaction an order", measureSeckill),
		{
			name: "outbox", about: "rows that committed with data: sent by one relay; from the commit to the handler's start when idle",
			metrics: []metric{
				{"outbox", "rows/s", atLeast(3_000)}, {"outbox-p50", "ms", atMost(20)}, {"outbox-p99", "ms", noTarget()},
			},
			measure: measureOutbox,
		},
		{
			name: "history", about: "no-op tasks, each kept in the history of a database that syncs, against none kept",
			metrics: []metric{
				{"history", tasks, both(atLeast(15_000), ratioAtLeast(0.5))},
				{"history-enqueue", tasks, both(atLeast(15_000), ratioAtLeast(0.5))},
				{"history-run", tasks, both(atLeast(15_000), ratioAtLeast(0.5))},
			},
			measure: measureHistory,
		},
		{
			name: "memory", about: "resident memory of a worker with 1,000 slots",
			metrics: []metric{{"memory-idle", "MiB", atMost(60)}, {"memory-full", "MiB", atMost(150)}},
			measure: measureMemory,
		},
		one("pending-growth", tasks, ratioAtLeast(0.9), "no-op tasks beside 1,000,000 that wait; against beside 10,000",
			measurePendingGrowth),
		one("processes", tasks, ratioAtLeast(0.95), "no-op tasks by four worker processes; against one", measureProcesses),
		{
			name: "waiters", about: "10,000 clients that wait for a task, by ?wait= and for events",
			metrics: []metric{
				{"waiters-memory", "MiB", atMost(200)},
				{"waiters-redis", "reads/s", atMost(5)},
				{"waiters-p50", "ms", atMost(10)},
				{"waiters-p99", "ms", noTarget()},
			},
			measure: measureWaiters,
		},
		one("herd", "commands/task", noTarget(), "Redis commands that one task costs with 200 idle workers; against with one",
			measureHerd),
	}
}
