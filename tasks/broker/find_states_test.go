package broker_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models/redisx/embedded"
	"github.com/paidui/paidui/tasks/broker"
	"github.com/paidui/paidui/tasks/broker/internal/brokertest"
)

func TestStates(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func() string{
		"redis":   func() string { return testenv.RedisURL(t) },
		"cluster": func() string { return testenv.RedisCluster(t) },
		"embedded": func() string {
			e, err := embedded.Start(context.WithoutCancel(t.Context()))
			require.NoError(t, err)
			t.Cleanup(e.Close)
			return e.URL(0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := brokertest.Open(t, url())
			got, err := b.States(t.Context(), nil)
			require.NoError(t, err)
			require.Empty(t, got)
			brokertest.Enqueue(t, b, brokertest.Message("here", "1"), brokertest.Message("there", "2"))
			require.NoError(t, b.Redis().Set(t.Context(), brokertest.Key("here", "t:3"), "no hash", 0).Err())
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
