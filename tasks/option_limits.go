package tasks

import "time"

// handlerGrace is what the hard limit has beyond the soft one, unless HardTimeout says otherwise.
const handlerGrace = 5 * time.Second

// Timeout is the soft limit of one attempt, 1 ms to 7 days: the handler's context ends after d. What the handler returns
// then counts: an error is a failed attempt, a result is a result. What it has not tidied up by the HardTimeout is cut
// off.
func Timeout(d time.Duration) Option { return func(o *options) { o.timeout = d } }

// HardTimeout is the hard limit of one attempt (whole milliseconds, rounded up): a handler that has not returned by then
// is given up: the task fails, is not retried, and what the handler still writes is refused. It must be above Timeout;
// 0, the standard, is 5 s above.
func HardTimeout(d time.Duration) Option { return func(o *options) { o.hardTimeout = d } }

// MaxCrashes fails the task when its worker has died n times while it ran: a poison task. 1 to 1000, the standard is 5.
func MaxCrashes(n int) Option { return func(o *options) { o.maxCrashes = n } }

// ResultLimit bounds the result's JSON, in bytes: the task fails for good when it is larger. 0 to 1 MiB, the standard is
// 64 KiB. With 0 the result is dropped, whatever it is, and the task succeeds without one.
func ResultLimit(bytes int) Option { return func(o *options) { o.resultLimit = bytes } }

// hardLimit is the hard limit that holds.
func (o *runOptions) hardLimit() time.Duration { return hardLimit(o.timeout, o.hardTimeout) }

func hardLimit(soft, hard time.Duration) time.Duration {
	if hard == 0 {
		return soft + handlerGrace
	}
	return (hard + time.Millisecond - 1).Truncate(time.Millisecond)
}
