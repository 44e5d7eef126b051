// Package counter counts each user's articles, followings and followers in sorted sets of Redis, from which single counts
// and rankings are read.
//
// A write that inserts or deletes a row gives Change to cache.Store.Write. When it has committed, its change is applied:
// right then, and again by the write's task. A script counts it once: it leaves a mark of the task beside the counts, in the
// same step, and marks are kept for longer than a task takes. Changes may come in any order, so a count may be below zero
// for a moment; that is kept apart, and no reader sees it.
//
// What Redis loses is noticed, as the sizes of what there should be are kept too: from then on counts and rankings come from
// the database, until the task refresh.counters has reconciled them all. It also runs once a day. See reconciler for how it
// repairs without undoing what is written meanwhile.
//
// A change whose mark may be gone, because its task is old or because Redis has lost something since it was made, is not
// counted, nor is one whose task's id does not tell its time. Its user becomes a suspect, whose count comes from the database
// until refresh.counters has compared the two. A Redis that evicts marks alone, of the last 15 minutes, is not noticed: then a
// change may be counted twice, until the next reconciliation.
package counter
