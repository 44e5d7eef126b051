package sms

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/tasks"
	"github.com/paidui/paidui/tasks/taskstest"
)

// startWorker runs the handler of Send on the queue behind url, and returns its log.
func startWorker(t *testing.T, url string, db *gorm.DB, cache redis.UniversalClient, s Sender) *testenv.LogBuffer {
	t.Helper()
	log := &testenv.LogBuffer{}
	mux := tasks.NewMux(tasks.MuxOptions{Logger: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	Bind(mux, db, cache, s)
	catalog, err := tasks.NewCatalog(Send)
	require.NoError(t, err)
	require.NoError(t, mux.Verify(catalog))
	taskstest.Serve(t, taskstest.Broker(t, url), mux, "sms")
	return log
}

func wait(t *testing.T, client *tasks.Client, id string) *tasks.Info {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	info, err := client.Wait(ctx, id)
	require.NoError(t, err)
	return info
}

func TestFromRequestToLogin(t *testing.T) {
	t.Parallel()
	onEachRedis(t, func(t *testing.T, url string) {
		codes, cache := testCodes(t, url, Limits{})
		db := openDB(t, "sqlite://"+t.TempDir()+"/paidui.db")
		log := startWorker(t, url, db, cache, NewMailbox(db))
		id, err := codes.Request(t.Context(), testMobile, "192.0.2.1")
		require.NoError(t, err)
		info := wait(t, codes.client, id)
		require.Equal(t, tasks.StateSuccess, info.State, info.Error)
		require.Equal(t, `"`+testMobile+`的短信发送成功"`, string(info.Result))

		rows, err := NewMailbox(db).Messages(t.Context(), testMobile, 1)
		require.NoError(t, err)
		require.Len(t, rows, 1)
		require.Equal(t, id, rows[0].TaskID)
		require.NoError(t, codes.Consume(t.Context(), testMobile, rows[0].Code, "192.0.2.1"))
		require.Eventually(t, func() bool { return log.String() != "" }, 10*time.Second, 10*time.Millisecond)
		require.NotContains(t, log.String(), testMobile)
		require.NotContains(t, log.String(), rows[0].Code)
	})
}

func TestTencentRefusalEndsTheTask(t *testing.T) {
	t.Parallel()
	url := testenv.RedisURL(t)
	codes, cache := testCodes(t, url, Limits{})
	db := openDB(t, testenv.MySQL(t))
	server := newTencentServer(t, answerStatus("FailedOperation.PhoneNumberInBlacklist", "+86"+testMobile+" unsubscribed", "", 0))
	log := startWorker(t, url, db, cache, testTencent(t, server.config()))
	id, err := codes.Request(t.Context(), testMobile, "192.0.2.1")
	require.NoError(t, err)
	code := cache.Get(t.Context(), codeKey(testMobile)).Val()

	info := wait(t, codes.client, id)
	require.Equal(t, tasks.StateFailure, info.State)
	require.Contains(t, info.Error, testMobile+"的短信发送失败：tencent: FailedOperation.PhoneNumberInBlacklist")
	require.Zero(t, info.Retries)
	_, bodies := server.requests()
	require.Len(t, bodies, 1)
	require.Equal(t, []any{code, "5"}, bodies[0]["TemplateParamSet"])
	require.Equal(t, id, bodies[0]["SessionContext"])
	rows := messages(t, db)
	require.Len(t, rows, 1)
	require.Contains(t, rows[0].Error, "PhoneNumberInBlacklist")
	require.Empty(t, rows[0].Code+rows[0].Content+rows[0].SerialNo)
	require.Contains(t, log.String(), "138****5678的短信发送失败")
	require.NotContains(t, log.String(), testMobile)
	require.NotContains(t, log.String(), code)
}

func TestSendIsRetriedUntilItSucceeds(t *testing.T) {
	t.Parallel()
	url := testenv.RedisURL(t)
	codes, cache := testCodes(t, url, Limits{})
	db := openDB(t, "sqlite://"+t.TempDir()+"/paidui.db")
	sender := &scripted{errs: []error{errors.New("slow down")}}
	log := startWorker(t, url, db, cache, sender)
	id, err := codes.Request(t.Context(), testMobile, "192.0.2.1")
	require.NoError(t, err)
	info := wait(t, codes.client, id)
	require.Equal(t, tasks.StateSuccess, info.State, info.Error)
	require.Equal(t, 1, info.Retries)
	require.Len(t, sender.sent(), 2)
	require.Equal(t, "serial-1", messages(t, db)[0].SerialNo)
	require.NotContains(t, log.String(), testMobile)
}
