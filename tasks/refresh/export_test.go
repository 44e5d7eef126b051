package refresh

import "time"

// ChangedBackoff is how long Changed waits before a retry.
func ChangedBackoff(retry int) time.Duration { return changedBackoff(retry, nil) }
