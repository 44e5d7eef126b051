package counter

import (
	"strconv"
	"time"

	"github.com/paidui/paidui/tasks"
)

const (
	// keep is how old a task may be whose change is still counted by its delta: as long as its mark is sure to be there.
	// What comes later makes its user a suspect. It is far beyond what a task takes while Redis and a worker are there, and
	// short of what a change that fails for good takes to do so.
	keep = 15 * time.Minute
	// keepMargin is how much longer marks stay, for the clocks of a primary and the replica that takes its place.
	keepMargin = time.Minute
	// bucketWidth gives the tasks of so many milliseconds one set for their marks. At up to 16,000 changes of a kind a second
	// it holds at most 512 of them, which Redis keeps as plain integers: 11 bytes a mark with all that is around it, at 10,000
	// changes a second 100 MiB in all.
	bucketWidth = 32
)

// origin is what the id of a task tells of it. Ids end in a UUID of version 7, which has the time at which it was made, and
// 62 random bits; one that was chosen by somebody does not, and is of no time.
type origin struct {
	at     int64 // ms since 1970; 0: unknown, long ago
	random uint64
}

func originOf(task string) origin {
	made, random, ok := tasks.IDOrigin(task)
	if !ok {
		return origin{}
	}
	return origin{at: made.UnixMilli(), random: random}
}

// bucket names the set that holds the task's marks of a kind.
func (o origin) bucket(k Kind) string {
	return hidden(k, "done:"+strconv.FormatInt(o.at/bucketWidth, 36))
}

// expiry is when the bucket may go, in ms since 1970.
func (o origin) expiry() int64 {
	return (o.at/bucketWidth+1)*bucketWidth + (keep + keepMargin).Milliseconds()
}

// mark is the member of the bucket that says that the task's change of the user's count is counted. Those of two tasks, or
// two users, differ but for one chance in 2^62.
func (o origin) mark(user int64) string {
	const spread = 0x9E3779B97F4A7C15 // odd, so that users keep apart: Knuth's multiplicative hash
	return strconv.FormatUint((o.random+uint64(user)*spread)&(1<<62-1), 10)
}

// hidden names a key of ours in the slot of the kind's sorted set.
func hidden(k Kind, name string) string { return "paidui:{" + k.Key() + "}:" + name }
