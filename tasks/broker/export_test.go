package broker

// Deliveries is how many tasks the fetcher believes to be in the hands of its worker.
func (f *Fetcher) Deliveries() int { return f.deliveries.len() }

// Ahead is how many tasks wait here for asynq.
func (f *Fetcher) Ahead() int { return f.prefetched.len() }
