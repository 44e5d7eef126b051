// Package tasks is the framework: typed task definitions, enqueueing, results, and the mux that runs handlers.
//
// A task is declared once, as a package-level value that producer and consumer share:
//
//	var Add = tasks.Define[AddArgs, int]("demo.add", tasks.Queue("default"), tasks.MaxRetries(3))
//
// A producer enqueues it and may wait for its typed result:
//
//	res, err := Add.Enqueue(ctx, client, AddArgs{N: 10, M: 20}, tasks.Countdown(10*time.Second))
//	sum, err := res.Get(ctx)
//
// A worker binds a handler to it:
//
//	tasks.Handle(mux, Add, func(ctx context.Context, a AddArgs) (int, error) { return a.N + a.M, nil })
//
// Delivery is at least once: a handler runs again when its worker dies, so whatever it writes must be idempotent.
// The engine underneath is asynq over Redis.
package tasks
