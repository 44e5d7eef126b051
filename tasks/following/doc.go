// Package following keeps whom users follow: rows of the table followings, and for each user who looks at his list a
// sorted set in Redis, user:<id>:following, whose members are the ids of those he follows and whose scores are the times
// since when, in seconds since 1970 with microseconds as fraction.
//
// # What Redis holds of a list
//
// Beside the set stands its state, a string that expires with it:
//
//	whole  the set is the list
//	more   the set is the newest part of the list, of up to Bound entries; the rest is in the database alone
//	empty  the list is empty, which a sorted set cannot be
//
// A set without a state, a state without its set, or anything else that does not fit together counts as nothing, and the
// list is loaded again.
//
// # Loading
//
// Who loads holds a lease in Redis, and fills a set of its own, in chunks, that takes the place of the list at the end if
// the lease is still held. Whatever changes the list takes the lease away, so that a load which may have read the rows
// before a change fills nothing.
//
// # Changing
//
// A committed change of one row is carried over to Redis by itself. Whoever does so (1) takes the entry: puts its token
// under a key of this entry, (2) reads the row, and (3) has a script put what it read into the set, or take the entry out
// of it, if the token is still there. What was read was read after the token was put, and a later change takes the entry
// again: so what the set ends up with was read after the last commit, in whatever order the steps of all changes come, and
// however often each is repeated.
package following
