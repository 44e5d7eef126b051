package lazyctx_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/models/lazyctx"
)

// lazy is a context whose end is an End.
type lazy struct {
	context.Context
	end lazyctx.End
}

func (l *lazy) Deadline() (time.Time, bool) { return l.end.Deadline(l.Context) }
func (l *lazy) Done() <-chan struct{}       { return l.end.Done(l.Context) }
func (l *lazy) Err() error                  { return l.end.Err(l.Context) }

func (l *lazy) Value(key any) any {
	if timed := l.end.Timed(); timed != nil {
		return timed.Value(key)
	}
	return l.Context.Value(key)
}

func TestItEndsAsAnyContextDoes(t *testing.T) {
	t.Parallel()
	cause := errors.New("a cause")
	for name, c := range map[string]struct {
		end   func(l *lazy, cancelParent func())
		err   error
		cause error
	}{
		"at its deadline": {func(*lazy, func()) { time.Sleep(time.Minute) }, context.DeadlineExceeded, context.DeadlineExceeded},
		"with its parent": {func(_ *lazy, cancelParent func()) { cancelParent() }, context.Canceled, context.Canceled},
		"by a call":       {func(l *lazy, _ func()) { l.end.Cancel(l.Context, cause) }, context.Canceled, cause},
		"closed":          {func(l *lazy, _ func()) { l.end.Close(l.Context) }, context.Canceled, context.Canceled},
	} {
		for _, waits := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					parent, cancelParent := context.WithCancel(context.Background())
					defer cancelParent()
					l := &lazy{Context: parent}
					at := time.Now().Add(time.Minute)
					l.end.SetDeadline(at)
					deadline, ok := l.Deadline()
					require.True(t, ok)
					require.Equal(t, at, deadline)
					require.NoError(t, l.Err())
					require.Nil(t, l.end.Timed())
					var child context.Context
					if waits {
						var cancelChild func()
						child, cancelChild = context.WithCancel(l)
						defer cancelChild()
						require.NotNil(t, l.end.Timed())
					}
					c.end(l, cancelParent)
					synctest.Wait()
					require.Equal(t, c.err, l.Err())
					<-l.Done()
					require.Equal(t, c.err, l.Err())
					require.Equal(t, c.cause, context.Cause(l))
					if waits {
						<-child.Done()
						require.Equal(t, c.cause, context.Cause(child))
					}
					l.end.Close(l.Context)
					l.end.Cancel(l.Context, errors.New("too late"))
					require.Equal(t, c.err, l.Err())
				})
			})
		}
	}
}

func TestWithoutADeadlineItLastsAsItsParent(t *testing.T) {
	t.Parallel()
	l := &lazy{Context: context.Background()}
	_, ok := l.Deadline()
	require.False(t, ok)
	at := time.Now().Add(time.Hour)
	parent, cancel := context.WithDeadline(context.Background(), at)
	defer cancel()
	early := &lazy{Context: parent}
	early.end.SetDeadline(at.Add(time.Minute))
	got, ok := early.Deadline()
	require.True(t, ok)
	require.Equal(t, at, got, "the parent's is earlier")
	select {
	case <-l.Done():
		require.Fail(t, "it has ended")
	default:
	}
	l.end.Close(l.Context)
	<-l.Done()
	require.ErrorIs(t, l.Err(), context.Canceled)
}
