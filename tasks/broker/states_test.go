package broker_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/redisx"
	"github.com/paidui/paidui/tasks/broker"
)

func TestStates(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func() string{
		"redis":   func() string { return testenv.RedisURL(t) },
		"cluster": func() string { return testenv.RedisCluster(t) },
		"embedded": func() string {
			e, err := redisx.StartEmbedded(context.WithoutCancel(t.Context()))
			require.NoError(t, err)
			t.Cleanup(e.Close)
			return e.URL(0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, url())
			got, err := b.States(t.Context(), nil)
			require.NoError(t, err)
			require.Empty(t, got)
			enqueue(t, b, message("here", "1"), message("there", "2"))
			require.NoError(t, b.Redis().Set(t.Context(), key("here", "t:3"), "no hash", 0).Err())
			refs := []broker.Ref{{Queue: "there", ID: "2"}, {Queue: "here", ID: "2"}, {Queue: "here", ID: "3"}, {Queue: "here", ID: "1"}, {Queue: "nowhere", ID: "1"}}
			got, err = b.States(t.Context(), refs)
			require.NoError(t, err)
			require.Equal(t, []string{"pending", "", broker.Foreign, "pending", ""}, got)
			require.NoError(t, b.Redis().Close())
			_, err = b.States(t.Context(), refs)
			require.Error(t, err)
		})
	}
}
