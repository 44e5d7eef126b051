// Package history keeps what became of tasks in the database, beyond what Redis remembers: a Writer takes records from
// whoever enqueues and whoever runs, a Store finds them again, and the task history.prune takes the old ones away.
//
// # Writing
//
// The Writer collects records in memory and writes them in batches, up to a second late. Records of one task become one
// row, whatever process they come from and in whatever order they arrive: see row. The enqueuer's record waits longer
// than the worker's, so that of a quick task only the worker's, which is complete by itself, is ever written.
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
//
// One index instead of one for each combination is what makes history cheap: measured on MariaDB, with rows of about 300
// bytes in batches of 1,000, each further index costs 1 to 2 µs of the server an INSERT and 6 µs an UPDATE, in which the
// state changes, while a whole INSERT with this one takes 11 µs. For the same reason the id is the primary key, and not a
// number beside a unique id.
package history
