package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestEntriesOfCodeAreThoseOfAFile compares what a program says in Go with what its file would say.
func TestEntriesOfCodeAreThoseOfAFile(t *testing.T) {
	t.Parallel()
	cat := catalog(t)
	load := func(content []byte) (*Schedule, error) {
		return Reader{Catalog: cat}.Read("", content)
	}
	ofCode, err := Content(
		CodeEntry{Name: "a", Task: "test.sum", Args: map[string]int{"n": 1, "m": 2}, Every: 90 * time.Minute, Misfire: MisfireSkip, Durable: true},
		CodeEntry{Name: "b", Task: "test.sum", Args: map[string]int{"n": 1, "m": 2}, Cron: "0 8 * * 1", Timezone: "UTC", Queue: "low", Paused: true},
	)
	require.NoError(t, err)
	have, err := load(ofCode)
	require.NoError(t, err)
	want, err := load([]byte(`schedules:
  - {name: a, task: test.sum, args: {n: 1, m: 2}, every: 1h30m, misfire: skip, durable: true}
  - {name: b, task: test.sum, args: {n: 1, m: 2}, cron: "0 8 * * 1", timezone: UTC, queue: low, paused: true}
`))
	require.NoError(t, err)
	require.Equal(t, want.hash, have.hash)
	require.Equal(t, 2, have.Len())

	wrong, err := Content(CodeEntry{Name: "a", Task: "test.sum", Every: time.Millisecond})
	require.NoError(t, err)
	_, err = load(wrong)
	require.ErrorContains(t, err, "every")
	_, err = Content(CodeEntry{Args: func() {}})
	require.ErrorContains(t, err, "the schedules of the program")
}
