// Package history keeps records of tasks in the database for longer than Redis keeps the tasks. A Writer takes the records of
// enqueuers and workers, a Settler compares them with Redis, a Store finds them, and the task history.prune deletes the old
// ones. Begin with writer.go and row.go, then search.go and settle.go.
//
// # Writing
//
// The Writer collects records in memory and writes them in batches, up to a second late. All records of one task become one
// row, whichever processes send them and in whatever order they arrive: see row. The enqueuer's record waits longer than the
// worker's, which is complete by itself; so of a quick task only the worker's is ever written.
//
// The table does not take some rows, and one such row makes its whole transaction fail. It is found by bisection, and
// reduced until the database takes it: see table.writeAccepted.
//
// A task that ends within a moment thus costs one row, which is inserted. The record of a task that waits becomes a row that
// changes when the task has ended.
//
// # Settling
//
// The Settler, in every worker, compares the records of tasks that have not ended and are older than a minute with Redis,
// 10,000 a minute, and while there are more, for a tenth of the time: what Redis knows better is written back, and a task that
// Redis has forgotten becomes LOST. Searches do the same with the records that they show. A record never goes back: rows are
// merged, by any process and in any order.
//
// Earlier builds wrote the records of many waiting tasks into one row of paidui_task_bundles. The Settler turns bundles into rows
// within seconds, a search or Find the ones of the time that it is about; so both builds can run side by side. The table stays
// until no such build runs any more.
//
// # What serves a search
//
// Searches answer newest first, by (created_at, task_id). Whatever the table holds of a task's kind, its name, queue and
// state, lies in one index in exactly that order:
//
//	idx_task_records_kind (task, queue, state, created_at, task_id)
//
// The kinds themselves are few, the tasks of the catalog times the queues they go to times eight states. A search lists
// them with a loose scan of the index, one dive a kind; keeps those that its filters on task, queue and state allow; and
// merges the newest of each. So every combination of these filters reads, of any page, one page's worth of index entries
// a kind, and then the rows of the page by their primary key: nothing depends on the size of the table. A search that
// leaves more than a thousand kinds is refused.
//
//	filters                               served by
//	any of task, queue, state, or none    idx_task_records_kind
//	since, until, cursor                  bounds within a kind, or within a tag
//	tag                                   PRIMARY KEY of paidui_task_tags (tag, created_at, task_id)
//	tag with task, queue or state         the same, and the records that it names by their primary key; after 5,000 that
//	                                      do not match, a page ends early and its cursor goes on from there
//	error group                           idx_task_failures_group of paidui_task_failures (error_group, created_at, task_id), and the
//	                                      records that it names
//	words, with any of these              no index: the text of the records that the others find, 5,000 a page at most
//	an id                                 PRIMARY KEY
//
// # Failures
//
// As a record of a failed task is written, the task is entered into paidui_task_failures, by the kind of its error, and counted in
// paidui_failure_counts, in the same transaction: see failure_count.go. The records themselves have no column for it: only
// failures cost more, a table of any size needs no change, and builds without it run side by side. What these write is entered
// later, by failure_adopt.go.
//
// One index instead of one for each combination is what makes history cheap. Measured on MariaDB 10.11, with rows of
// about 300 bytes, in microseconds of processor that the server and this process take a record on a busy machine
// (go test -run none -bench BenchmarkRecord -benchtime 100000x ./tasks/history):
//
//	a row of a task that has ended         15 + 7
//	a row that waits                       15 + 5, and 43 + 8 when it changes
//
// Rows that wait, not bundles of them, are the plainer way. The bundles took 1 + 3 to write and 1 + 1 to settle, and 1,100 lines,
// with leases, probes and Bloom filters. Measured by turns (go run ./deploy/bench --only history; 100,000 tasks, two cores that
// others used too, two runs each), as parts of the speed without a history:
//
//	                      rows            bundles
//	enqueued and run      0.70, 0.71      0.67, 0.83
//	enqueued              0.55, 0.64      0.78, 0.84
//	that backlog run      0.69, 0.72      0.69, 0.69
//
// Each further index would cost 1 to 2 µs an INSERT and 7 to 14 µs an UPDATE that changes it. For the same reason the id is
// the primary key, and not a number beside a unique id.
package history
