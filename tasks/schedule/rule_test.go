package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestEveryTicksAtMultiplesOfItsPeriod(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		period := rapid.Int64Range(1, 366*86400).Draw(rt, "period")
		r, err := ParseEvery(time.Duration(period) * time.Second)
		require.NoError(rt, err)
		at := time.Unix(rapid.Int64Range(-1e10, 1e10).Draw(rt, "from"), rapid.Int64Range(0, 999_999_999).Draw(rt, "ns"))
		tick := r.Next(at)
		require.True(rt, tick.After(at))
		require.Zero(rt, tick.Unix()%period)
		require.LessOrEqual(rt, tick.Sub(at), time.Duration(period)*time.Second)
		require.Equal(rt, tick.Add(time.Duration(period)*time.Second), r.Next(tick))
	})
}

func TestEveryRefuses(t *testing.T) {
	t.Parallel()
	for _, period := range []time.Duration{0, -time.Second, time.Millisecond, 1500 * time.Millisecond, 367 * 24 * time.Hour} {
		_, err := ParseEvery(period)
		require.Error(t, err, period)
	}
}

func TestEveryReadsShort(t *testing.T) {
	t.Parallel()
	for period, want := range map[time.Duration]string{
		time.Second: "every 1s", 90 * time.Second: "every 1m30s", time.Hour: "every 1h", 25 * time.Hour: "every 25h", 3601 * time.Second: "every 1h1s",
	} {
		require.Equal(t, want, everyRule(period).String())
	}
}
