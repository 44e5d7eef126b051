package cache

import "sync"

// flight is one miss of a value, which all readers of the process that miss the value meanwhile share (single flight).
type flight[K ID, T any] struct {
	id   K
	done chan struct{} // closed when item and err are set
	item *item[T]
	err  error
}

// flights are those under way.
type flights[K ID, T any] struct {
	mu   sync.Mutex
	open map[K]*flight[K, T]
}

// join returns the flight of id, and whether this caller began it and so must end it.
func (f *flights[K, T]) join(id K) (fl *flight[K, T], first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl = f.open[id]; fl != nil {
		return fl, false
	}
	fl = &flight[K, T]{id: id, done: make(chan struct{})}
	f.open[id] = fl
	return fl, true
}

// end gives the readers the item or the error.
func (f *flights[K, T]) end(fl *flight[K, T], it *item[T], err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[fl.id] == fl {
		delete(f.open, fl.id)
	}
	fl.item, fl.err = it, err
	close(fl.done)
}

// forgetAll makes the next reader of each value begin a new flight.
func (f *flights[K, T]) forgetAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.open)
}

// forget makes the next reader of id begin a new flight.
func (f *flights[K, T]) forget(id K) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, id)
}
