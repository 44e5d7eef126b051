package schedule

// Overlap says what becomes of a tick that is due while the task of the last one has not ended.
type Overlap string

const (
	// OverlapAllow, the default, enqueues it all the same.
	OverlapAllow Overlap = "allow"
	// OverlapSkip leaves it out.
	OverlapSkip Overlap = "skip"
	// OverlapQueue has it wait until that task has ended. Of more than Entry.OverlapLimit that wait, the oldest is left out.
	OverlapQueue Overlap = "queue"
)

// The bounds of numbers in an entry.
const (
	MaxOverlapLimit = 1000
	MaxMaxTicks     = 1_000_000_000
)
