package sms

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

// A node of a cluster refuses commands and scripts whose keys are in different slots, even when it has them all.
func TestEverythingWorksInACluster(t *testing.T) {
	t.Parallel()
	cache := taskstest.Broker(t, testenv.RedisCluster(t)).Redis()
	codes := NewCodes(cache, tasks.NewClient(taskstest.Broker(t, testenv.RedisURL(t))), Limits{PerMinuteAll: 10})

	_, err := codes.Request(t.Context(), testMobile, "2001:db8::1")
	require.NoError(t, err)
	_, err = codes.Request(t.Context(), testMobile, "2001:db8::1")
	requireLimit(t, err, ScopeMinute, time.Minute)
	w := &worker{cache: cache}
	code, left, err := w.code(t.Context(), testMobile)
	require.NoError(t, err)
	require.Len(t, code, 6)
	require.Positive(t, left)
	wrong := "000000"
	if code == wrong {
		wrong = "000001"
	}
	require.ErrorIs(t, codes.Consume(t.Context(), testMobile, wrong, "192.0.2.1"), ErrWrongCode)
	require.NoError(t, codes.Consume(t.Context(), testMobile, code, "192.0.2.1"))
	known, err := codes.isKnownAddress(t.Context(), testMobile, clientOf("192.0.2.1"))
	require.NoError(t, err)
	require.True(t, known)
	g := newGrant(cache, codes.limits, testMobile, clientOf("2001:db8::1"), false, time.Now())
	require.NoError(t, codes.undo(t.Context(), g, testMobile, code))
}
