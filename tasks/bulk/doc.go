// Package bulk does something to all tasks that match a filter: runs them again, revokes them, deletes them, or gives them
// another priority. Start with request.go, which is what can be asked for, then start.go and run.go.
//
// # What survives
//
// Start writes the run into the table paidui_bulk, and its task into the outbox, in one transaction: so both are there or neither,
// whatever dies. The task bulk.run takes the tasks of the history in batches, newest first, and after each batch it writes its
// place and its counts into the row. When its worker dies, the successor goes on at that place. It repeats at most one batch, of
// which it may count less than was done, and that does nothing twice: a task that was run again keeps the run's id in its message
// (see tasks.Client.RetryMany), a task that was revoked keeps it in its reason, one that was deleted is not there any more, and a
// priority is what it is. A worker that has lost its task to another one finds the row's step changed, and ends.
//
// The run comes to the tasks that were enqueued before it was made. So a task that it runs again, and that fails again, is not
// met twice, and the run ends, whatever is enqueued meanwhile.
package bulk
