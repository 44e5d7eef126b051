package schedule

// Misfire says what becomes of ticks that were missed: those that are older than five seconds by the time a scheduler comes
// to them, because none ran or Redis was away, and those after which another is due already. The last one that is due is
// merely late while it is younger, and is enqueued under each rule.
type Misfire string

const (
	// MisfireSkip drops missed ticks.
	MisfireSkip Misfire = "skip"
	// MisfireOnce, the default, makes up for all missed ticks with one: the newest that is due.
	MisfireOnce Misfire = "once"
	// MisfireAll enqueues every missed tick, the oldest first, but at most the newest 1000.
	MisfireAll Misfire = "all"
)
