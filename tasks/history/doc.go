// Package history keeps what became of tasks in the database, beyond what Redis remembers: a Writer takes records from
// whoever enqueues and whoever runs, a Settler keeps them true, a Store finds them again, and the task history.prune takes
// the old ones away.
//
// # Writing
//
// The Writer collects records in memory and writes them in batches, up to a second late. Records of one task become one
// row, whatever process they come from and in whatever order they arrive: see row. The enqueuer's record waits longer
// than the worker's, so that of a quick task only the worker's, which is complete by itself, is ever written.
//
// A row that makes its transaction fail while the database takes others is found by halving, and reduced until the database
// takes it: see table.sift.
//
// # Bundles
//
// A row that changes costs far more than one that is only added: its state is part of the index that serves searches. So
// when many tasks are enqueued at once, their records do not become rows which wait to be changed. They go into bundles,
// up to a thousand in one row of task_bundles, and stay there while their tasks wait; a worker that has run one adds the
// row that says so. What goes into a bundle is told in stubOf. Records that come by the few become rows at once.
//
// The Settler, in every worker, looks what has become of the tasks of each bundle: after 2 seconds, and again each time the
// bundle is twice as old. It asks for a few of the tasks first; mostly none has ended, and that is all, or all have, and
// the bundle goes. After a minute those that have no row are compared with Redis, at least every five minutes: those of
// which Redis knows better get rows, the lost ones as LOST, and so does what is left of a bundle when that is little.
//
// A record never goes back: rows are merged, by any process and in any order, and a bundle says nothing of a task that has
// a row. Settlers hold a bundle by a lease, and delete or change it in the transaction in which they write what they found.
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
//	tag                                   PRIMARY KEY of task_tags (tag, created_at, task_id)
//	tag with task, queue or state         the same, and the records that it names by their primary key; after 5,000 that
//	                                      do not match, a page ends early and its cursor goes on from there
//	any that admit PENDING                the same, and bundles, those with the newest tasks first, by
//	                                      idx_task_bundles_last_at; after 20 in which it finds too little, a page ends early
//	an id                                 PRIMARY KEY, and bundles of the time at which the id was made: those of which
//	                                      the filter does not tell that they have it not
//
// One index instead of one for each combination is what makes history cheap. Measured on MariaDB 10.11, in batches of 1,000
// with rows of about 300 bytes, in microseconds of processor that the server and this process take a record (BenchmarkRecord):
//
//	a row of a task that has ended         12 + 6
//	a row that waits                       12 + 6, and 31 + 6 when it changes
//	a record in a bundle                   1 + 3, and 1 + 1 to see that it has ended
//
// An id that nobody made costs 280 + 350 where 20 bundles of 1,000 tasks are of its time, and would cost 4,200 + 600 without
// their filters (BenchmarkUnknownID).
//
// Each further index would cost 1 to 2 µs an INSERT and 7 to 14 µs an UPDATE that changes it. For the same reason the id is
// the primary key, and not a number beside a unique id.
package history
