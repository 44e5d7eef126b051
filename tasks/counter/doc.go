// Package counter counts each user's articles, followings and followers in sorted sets of Redis, from which single counts
// and rankings are read.
//
// A write that inserts or deletes a row gives Change to cache.Store.Write. When it has committed, its change is applied:
// right then, and again by the write's task. A script counts the change once: in the same step it leaves a mark of the task
// beside the counts. Marks stay for longer than a task takes. Changes may come in any order, so a count may be below zero for
// a moment: such counts are kept in a hash of their own, and readers see 0.
//
// When Redis loses keys, their recorded sizes no longer match. From then on counts and rankings come from the database, until
// the task refresh.counters has reconciled all users. The task also runs once a day. See reconciler for how it repairs counts
// without undoing concurrent writes.
//
// A change is not counted when its mark may be gone: its task is old, or Redis has lost something since the task was made, or
// the task's id does not tell its time. Its user becomes a suspect, whose count comes from the database until refresh.counters
// has compared the two. The loss of marks of the last 15 minutes alone is not noticed: then a change may be counted twice, until
// the next reconciliation.
//
// # What the exact counts buy
//
// Without them each count is a COUNT of rows, and a ranking a GROUP BY of the whole table. Measured on MariaDB 10.11 with
// 300,000 followings on a busy machine (go test -run none -bench Exact ./tasks/counter):
//
//	                                        Redis     database
//	count of somebody whom 20 follow        0.2 ms    0.6 ms
//	count of somebody whom 100,000 follow   0.1 ms    13 ms
//	the 100 first of a ranking              0.6 ms    43 ms, and more with each row
//	a change                                0.1 ms    nothing
//
// The plainer way is to cache what the database counts until a write deletes it. It would do for the counts of most users,
// but for few of the rankings' readers: any write of any user changes a ranking, which would then be old, or be counted from
// all rows again. That is less than the greater part of what the exact counts give, so they stay.
package counter
