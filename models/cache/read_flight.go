package cache

import "sync"

// flight is the way of one value through a miss. All readers of the process who miss it meanwhile share it.
type flight[K ID, T any] struct {
	id   K
	done chan struct{} // closed when the rest is there
	item *item[T]
	err  error
}

// flights are those under way.
type flights[K ID, T any] struct {
	mu   sync.Mutex
	open map[K]*flight[K, T]
}

// join gives the flight of id, and whether it begins with this caller, who must end it.
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

// end tells the readers what became of it.
func (f *flights[K, T]) end(fl *flight[K, T], it *item[T], err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open[fl.id] == fl {
		delete(f.open, fl.id)
	}
	fl.item, fl.err = it, err
	close(fl.done)
}

// forgetAll has the next reader of each begin a flight of its own.
func (f *flights[K, T]) forgetAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.open)
}

// forget has the next reader begin a flight of its own.
func (f *flights[K, T]) forget(id K) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, id)
}
