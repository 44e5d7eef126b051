package main

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMedianAndPercentile(t *testing.T) {
	t.Parallel()
	require.Zero(t, median(nil))
	require.InDelta(t, 7, median([]float64{7}), 0)
	require.InDelta(t, 2, median([]float64{9, 1, 2}), 0)
	require.InDelta(t, 2.5, median([]float64{9, 1, 2, 3}), 0)

	var hundred []float64
	for i := 100; i > 0; i-- {
		hundred = append(hundred, float64(i))
	}
	require.Zero(t, percentile(nil, 0.5))
	require.InDelta(t, 1, percentile(hundred, 0), 0)
	require.InDelta(t, 50, percentile(hundred, 0.5), 0)
	require.InDelta(t, 99, percentile(hundred, 0.99), 0)
	require.InDelta(t, 100, percentile(hundred, 1), 0)
}

func TestAlternate(t *testing.T) {
	t.Parallel()
	var calls []string
	side := func(name string, values ...float64) measureOnce {
		return func(context.Context) (float64, error) {
			calls = append(calls, name)
			v := values[0]
			values = values[1:]
			return v, nil
		}
	}
	got, err := alternate(t.Context(), 3, side("ours", 5, 100, 6), side("theirs", 1, 2, 0))
	require.NoError(t, err)
	require.Equal(t, measurement{6, 1}, got)
	require.Equal(t, []string{"ours", "theirs", "ours", "theirs", "ours", "theirs"}, calls)

	broken := errors.New("no disk")
	_, err = alternate(t.Context(), 3, side("ours", 5), func(context.Context) (float64, error) { return 0, broken })
	require.ErrorIs(t, err, broken)
}
