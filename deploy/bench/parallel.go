package main

import (
	"runtime"

	"golang.org/x/sync/errgroup"
)

// inParallel calls f with 0 to n-1, on every core, until one call fails.
func inParallel(n int, f func(i int) error) error {
	var group errgroup.Group
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		group.Go(func() error {
			for i := w; i < n; i += workers {
				if err := f(i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// together runs f in n goroutines and returns the first error.
func together(n int, f func() error) error {
	var group errgroup.Group
	for range n {
		group.Go(f)
	}
	return group.Wait()
}
