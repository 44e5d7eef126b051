package schedule

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

// TestTheHashDoesNotTellWhatIsEncrypted: whoever knows the rest of the file could try numbers until the hash fits.
func TestTheHashDoesNotTellWhatIsEncrypted(t *testing.T) {
	t.Parallel()
	type args struct {
		To string `json:"to"`
	}
	cat, err := tasks.NewCatalog(tasks.Define[args, string]("test.secret", tasks.Encrypted()), tasks.Define[args, string]("test.plain"))
	require.NoError(t, err)
	hash := func(file string, keys ...string) string {
		client := tasks.NewClient(nil, tasks.ClientOptions{Keys: taskstest.Keys(t, keys...)})
		s, err := ReaderOf(cat, client, nil).Read("", []byte("schedules:\n  - "+file))
		require.NoError(t, err)
		return s.hash
	}
	const (
		secret = "{name: a, task: test.secret, args: {to: '1'}, every: 1s}"
		calls  = "{name: a, task: test.plain, every: 1s, args: {to: x}, on_success: [{task: test.secret, args: {to: '1'}}]}"
		plain  = "{name: a, task: test.plain, args: {to: '1'}, every: 1s}"
	)
	k1, k2 := taskstest.Key("k1"), taskstest.Key("k2")
	for _, file := range []string{secret, calls} {
		keyed := hash(file, k1)
		require.NotEqual(t, hash(file), keyed)
		require.NotEqual(t, hash(file, k2), keyed)
		require.Equal(t, hash(file, k2, k1), keyed, "schedulers agree while keys are changed")
	}
	require.NotEqual(t, hash(secret, k1), hash("{name: a, task: test.secret, args: {to: '2'}, every: 1s}", k1))
	require.Equal(t, hash(plain), hash(plain, k1))
}
