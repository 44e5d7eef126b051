// Package cache keeps values of the database in Redis, as JSON (cache-aside), and keeps them true: after a committed
// write no reader is left with the value of before.
//
// # The race, and the lease
//
// Every cache-aside has a race: a reader misses and reads the old row; a writer commits and deletes the key; and then the
// reader stores the old value, which stays until it expires. Here a reader stores only under a lease, as in Facebook's
// memcache (Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013). A miss gives one reader a token; a value is
// stored only while Redis still holds that token; and what follows a commit takes the token away. So a reader who began
// before the commit and stores after it is refused, and reads again. Each of these is one Lua script on one cluster slot:
//
//	look   the value, or else the lease if nobody has it
//	fill   stores a value if the token holds the lease, which it gives up
//	void   takes value and lease away, after a commit
//	seize  takes the lease from whoever has it, to rewrite the value
//
// What Redis loses, leases too, refuses fills and never admits one.
//
// The lease also holds back a stampede: of all that miss, one in the process (single flight) and one of the processes
// (the lease) reads the database. The others wait for its value, at most two seconds; then they take the last known value
// where the cache allows stale ones, and else read the database without storing.
//
// # Writes
//
// [Store.Write] changes rows and, in the same transaction, makes the task that applies the changes to the caches; it
// applies them itself right after the commit, too. A process that dies, or a Redis that is away, between commit and
// application delays it and can't lose it: the task goes on until it has done it. A marker for each task and value lets
// the task find what was done already; it lasts a minute, and to apply a change again later does no harm.
//
// # What is guaranteed
//
// Once the change of a commit has been applied, Redis holds nothing or a value that was read after that commit, whatever
// readers, writers and refreshers do at the same time, whatever expires, and whoever dies; a property test holds single
// steps of all of them against it. Until then, which is a moment unless Redis or the process fails, readers may get the
// value of before. A read that begins after Write has returned without such a failure gets the new value in the same
// process at once; others may still have the old one in the process until the message arrives, and at most for
// NearExpiry.
//
// # Limits
//
//   - A Redis that goes back in time, to an old snapshot or to a replica that lacked the last writes, brings old values
//     back, which stay until they expire or change again. Have it append to a file (appendonly), or save nothing.
//   - Whatever writes to the rows other than by Write is not seen until the value expires; Clear and Refresh are for it.
//   - A cache with Stale serves the last known value, up to that long beyond its truth, when the database fails, and also
//     when whoever has the lease does not store for two seconds, as one who died: a lease lives for ten.
//   - A replica that is read while the primary fails may lag behind the last commits.
//   - Load must read what has been committed: not a replica of the database that lags, nor an older transaction.
//   - Periodic alone does not follow writes.
package cache
