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
// # The files, by their beginning
//
// A file belongs to one of seven groups. Begin with the first name of each.
//
//   - define_: Define and Definition; how arguments are read (define_args.go); Catalog and Spec, for those that know a task
//     by its name, as the API and the scheduler do.
//   - call_: Client and its enqueue (call_client.go); Signature and EnqueueMany, for calls that are stored or many; NewID;
//     Routes, for the queues that tasks go to.
//   - option_: Option and Options, its JSON form (option.go). optionTable (option_table.go) has a row for each option: its
//     names, bounds, check, forms. option_headers.go has the form in which a task carries them to its worker.
//   - run_: the worker's side. Mux.ProcessTask (run_process.go) refuses a delivery, or has its handler run within its limits
//     (run_attempt.go), judges what came of it (run_verdict.go), enqueues callbacks, and writes log and history (run_log.go).
//     NewMux and Handle bind handlers, Mux.Engine configures asynq. What a handler calls: Current, Progress, Once,
//     ParentResult; what it returns: Permanent, RetryIn, Snooze.
//   - result_: Result; Info and State; Client.Info, Client.Wait, Client.Watch; Recorder, which a history implements.
//   - admin_: Client.Revoke, Client.RevokeTag, Client.Retry, Client.Dead, Client.RetryDead, Client.Forget, Client.CheckQueues.
//   - outbox_: Definition.EnqueueTx and the option Durable, which keep a task in the database until it has ended; Outbox is
//     what package tasks/outbox implements, OutboxMessage what it stores.
//
// errors.go has the errors of all. Package worker/pool is the worker, tasks/history the history, tasks/taskstest what tests
// need.
//
// # Goroutines
//
// A Client has none of its own but those of EnqueueMany, and one for each watched task that is in an outbox. Of each attempt
// the goroutine of asynq waits, and one of its own runs the handler: attempt.state tells which of them may write.
//
// deploy/docs/tasks.md describes all of it, with its limits.
package tasks
