// Package cache keeps values of the database in Redis, as JSON (cache-aside), and keeps them true: once a committed write
// is applied, no reader gets the old value.
//
// The files are in groups: cache_* is the generic Cache and what configures one; read_* a read, from the batch that many
// readers share to the load from the database; near_* what the process keeps; lease* the scripts in lua/, which guard every
// change in Redis; write_* what follows a commit; backend* the primary and the replica, with their circuit breakers; store_*
// the rest of what the caches of a process share. Begin with cache.go, then read_miss.go and lease.go.
//
// # The race, and the lease
//
// Every cache-aside has a race: a reader misses and reads the old row; a writer commits and deletes the key; and then the
// reader stores the old value, which stays until it expires. Here a reader stores only under a lease, as in Facebook's
// memcache (Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013). A miss gives one reader a token. A value is stored
// only while Redis still holds that token. What follows a commit deletes the token. So a reader who began before the commit
// and stores after it is refused, and reads again. Each of these is one script, on keys of one cluster slot:
//
//	get_or_lease  the value, or else the lease if nobody holds it
//	fill          stores a value if the token holds the lease, which it gives up
//	invalidate    deletes value and lease, after a commit
//	take_over     takes the lease from whoever holds it, to rewrite the value
//
// If Redis loses data, a lease included, fills are refused; none is wrongly allowed.
//
// The lease also prevents a stampede: of all readers that miss a value, one in the process (single flight) and one of the
// processes (the lease) reads the database. The others wait for its value, at most two seconds. Then they take the last
// known value where the cache allows stale ones, or else read the database without storing.
//
// # Writes
//
// [Store.Write] changes rows and, in the same transaction, makes the task that applies the changes to the caches; it
// applies them itself right after the commit, too. A process that dies between the commit and the application, or a Redis
// that is away, only delays the application: the task is retried until it has applied the changes. A marker for each task and
// value says what was applied already. It lasts a minute; to apply a change again later does no harm.
//
// # What is guaranteed
//
// Once the change of a commit has been applied, Redis holds nothing or a value that was read after that commit, whatever
// readers, writers and refreshers do at the same time, whatever expires, and whichever process dies. A property test checks
// this between any two steps of them. Until then, which is a moment unless Redis or the process fails, readers may get the
// old value. A read that begins after Write has returned without such a failure gets the new value in the same process at
// once. Other processes may keep the old value until the message arrives, at most for NearExpiry.
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
