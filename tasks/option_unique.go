package tasks

import "time"

// UniqueFor refuses, with ErrDuplicate, a second task of the same name, queue and arguments (or UniqueKey) until the
// first has ended, for d at most (whole seconds, rounded up). 0 is off.
func UniqueFor(d time.Duration) Option { return func(o *options) { o.uniqueFor = d } }

// UniqueUntilDone is UniqueFor without a limit, but for 366 days.
func UniqueUntilDone() Option { return UniqueFor(MaxRetention) }

// UniqueKey is what UniqueFor, Throttle and Debounce go by instead of the arguments, within the task's name and queue:
// 1 to 1024 bytes of UTF-8.
func UniqueKey(key string) Option {
	return func(o *options) {
		if key == "" {
			o.refuse("unique_key", "is empty: leave it out to go by the arguments")
		}
		o.change(func(e *extras) { e.uniqueKey = key })
	}
}

// Throttle lets one task in every d (whole seconds, rounded up), counted from when the first one was enqueued, also
// after it has ended. The others give ErrDuplicate with the id of the first one. They are the same if their name,
// queue and arguments are (or UniqueKey). 0 is off.
func Throttle(d time.Duration) Option { return func(o *options) { o.throttle = d } }

// Debounce makes one task of many calls: the first opens a window of d (whole seconds, rounded up), at whose end the
// task runs with the arguments, headers and options of the last call within it. A later call returns the first one's
// handle and no error. It never prolongs the window, so that a steady stream of calls does not hold the task up. The
// window is that of the task's name and queue, or of its UniqueKey there. 0 is off.
func Debounce(d time.Duration) Option { return func(o *options) { o.debounce = d } }
