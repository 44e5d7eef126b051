package models_test

import (
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
)

// TestCloseAfterTheServerHasGone closes connections that a restart of the server, or a proxy, has ended while they were
// idle. The driver can't take its leave then, which concerns nobody.
func TestCloseAfterTheServerHasGone(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(testenv.MySQL(t))
	require.NoError(t, err)
	proxy := testenv.NewProxy(t, u.Host)
	u.Host = proxy.Addr
	logger, logged := logTo()
	db, err := models.Open(t.Context(), u.String(), models.Options{Logger: logger})
	require.NoError(t, err)
	var queries sync.WaitGroup
	for range 4 { // one after another on one connection, or side by side on some
		queries.Go(func() {
			if err := db.WithContext(t.Context()).Exec("DO SLEEP(0.05)").Error; err != nil {
				t.Error(err)
			}
		})
	}
	queries.Wait()

	proxy.Reset()
	require.NoError(t, models.Close(db))
	require.Contains(t, logged(), "mysql driver", "it did fail, and the log has it")
	require.ErrorContains(t, models.Ping(t.Context(), db), "closed")
	require.NoError(t, models.Close(db), "twice is safe")
}
