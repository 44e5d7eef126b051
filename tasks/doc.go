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
// Delivery is at least once: a handler runs again when its worker dies, so whatever it writes must be idempotent, or go
// through Once. The engine underneath is asynq over Redis.
//
// # Where what is
//
//   - Calling: Define, Definition.Enqueue and the functions that return an Option; Signature and EnqueueMany for calls that
//     are stored or many; Routes for where they go.
//   - With data: Definition.EnqueueTx and Durable keep a task in the database until it has ended. Package tasks/outbox
//     has the Outbox for it.
//   - Results: Result, Client.Info, Client.Wait, Client.Watch; State and Info are what they tell, the errors ErrNotFound,
//     ErrRevoked and FailureError why there is none.
//   - Running: NewMux, Handle, Mux.Engine; MuxOptions and Metrics. Package worker/pool is the worker.
//   - In a handler: Current, Progress, Once, ParentResult; Permanent, RetryIn and Snooze for what to return.
//   - By hand: Client.Revoke, Client.RevokeTag, Client.Retry, Client.Dead, Client.RetryDead, Client.Forget.
//   - By name, as the API and the scheduler have it: Catalog, Spec, Call, DecodeOptions.
//   - History: Recorder takes it; package tasks/history writes and searches it.
//   - Testing: package tasks/taskstest.
//
// deploy/docs/tasks.md describes all of it, with its limits.
package tasks
