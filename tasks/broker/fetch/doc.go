// Package fetch is the worker's side of the broker. asynq's server runs the slots, and has no public place for another
// broker; so it gets a [Fetcher], which is a redis.UniversalClient that answers asynq's own calls with scripts of ours. How asynq
// calls is known in one file, asynq_calls.go, and nowhere outside this package.
//
// The life of one delivery:
//
//	Redis                            Fetcher                                     asynq
//
//	pending list                     fetch.go: one script takes tasks for all
//	    │  fetch.lua ──────────────▶ free slots, under a token each fetch
//	    ▼                                │
//	active list, lease, owner        prefetch.go: they wait here                 dequeue (fetch_dequeue.go)
//	    │                                └──────────────────────────────────────▶   │
//	    │                            delivery.go: a Delivery is in the              ▼
//	    │                            deliveries until it is acknowledged        a slot runs the handler
//	    │                                                                           │
//	    │                            ack.go: waits for the next batch ◀── done, complete, retry, archive, requeue
//	    ▼   ack_*.lua ◀───────────── ack_scripts.go: one script for all that        │
//	completed, retry, archived       have succeeded, one for each other             ▼
//	or gone; events published            └─ the answer: fenced or not ─────────▶ the slot is free
//
//	not acknowledged: the worker died ──▶ its life ends (life.go) ──▶ another worker's beat finds it (life_beat.go)
//	    ──▶ life_takeover.go ──▶ pending again, crashes + 1
//	not run: no slot in time, or Stop ──▶ prefetch_return.go ──▶ head of the pending list
//
// A token has the worker's name, its life and a number. Whatever a delivery writes holds the owner in Redis against its token:
// so a worker that lost a task, and has not noticed, changes nothing.
//
// Which goroutine owns what:
//
//   - asynq's processor, one a server, dequeues: it owns the order of fetches, the wait for wake-ups (fetch_sleeper.go), and the
//     look for answers that were lost (fetch_reclaim.go). It starts the others with its first call.
//   - One fetch ahead at a time runs beside it (fetchAhead), and puts what it brings into prefetched.
//   - asynq's workers, one a slot, acknowledge. Each waits for its batch; redisx.Batcher has the goroutine that sends it.
//   - asynq's forwarder asks for due tasks; forward.go lets one call a second through.
//   - beats (life.go) owns the life: it alone prolongs it, but for a dequeue that finds it over. What a beat finds to take over
//     goes on in a goroutine of its own, one at a time.
//   - obeys (control_commands.go) carries out commands, one at a time, and writes the worker's record (life_record.go).
//   - listenTerminate and checkTerminated (cancel_terminate.go) end running tasks that were revoked.
//
// [Fetcher.Stop] ends the fetching and puts back what no slot has begun, [Fetcher.Leave] ends the life after the server's shutdown.
package fetch
