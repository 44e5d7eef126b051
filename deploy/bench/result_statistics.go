package main

import (
	"context"
	"math"
	"slices"
)

// median of an even number of values is the mean of the two in the middle; of none it is 0.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// percentile is the smallest value that a share p (0 to 1) of all values does not exceed; of none it is 0.
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(p * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}

// measureOnce yields one figure.
type measureOnce func(context.Context) (float64, error)

// alternate measures value and baseline by turns, so that both see the machine in the same mood, and takes the medians.
func alternate(ctx context.Context, rounds int, value, baseline measureOnce) (measurement, error) {
	var ours, theirs []float64
	for range rounds {
		for _, side := range []struct {
			measure measureOnce
			list    *[]float64
		}{{value, &ours}, {baseline, &theirs}} {
			got, err := side.measure(ctx)
			if err != nil {
				return measurement{}, err
			}
			*side.list = append(*side.list, got)
		}
	}
	return measurement{median(ours), median(theirs)}, nil
}
