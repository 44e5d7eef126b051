package sms

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/models/shop"
	"github.com/paidui/paidui/tasks"
)

// onEachDatabase runs the test on a real MariaDB and on the embedded SQLite, each with tables and no rows.
func onEachDatabase(t *testing.T, test func(t *testing.T, db *gorm.DB)) {
	t.Helper()
	for name, url := range map[string]func() string{
		"mysql":  func() string { return testenv.MySQL(t) },
		"sqlite": func() string { return "sqlite://" + t.TempDir() + "/paidui.db" },
	} {
		t.Run(name, func(t *testing.T) { test(t, openDB(t, url())) })
	}
}

func openDB(t *testing.T, url string) *gorm.DB {
	t.Helper()
	db, err := models.Open(t.Context(), url, models.Options{Logger: testenv.Quiet()})
	require.NoError(t, err)
	t.Cleanup(func() { closeDB(t, db) })
	require.NoError(t, shop.Migrate(t.Context(), db))
	return db
}

func closeDB(t *testing.T, db *gorm.DB) {
	t.Helper()
	pool, err := db.DB()
	require.NoError(t, err)
	require.NoError(t, pool.Close())
}

// scripted is a provider that answers what it is told, once each, and then accepts everything.
type scripted struct {
	mu       sync.Mutex
	errs     []error
	onSend   func()
	messages []Message
}

func (s *scripted) Provider() string { return "scripted" }

func (s *scripted) Send(_ context.Context, m Message) (Receipt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	if s.onSend != nil {
		s.onSend()
	}
	if len(s.errs) > 0 {
		err := s.errs[0]
		s.errs = s.errs[1:]
		return Receipt{}, err
	}
	return Receipt{SerialNo: "serial-1", Fee: 1}, nil
}

func (s *scripted) sent() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.messages
}

func newWorker(db *gorm.DB, cache redis.UniversalClient, s Sender) *worker {
	return &worker{rows: messageRows{db: db, provider: s.Provider()}, cache: cache, sender: s}
}

func messages(t *testing.T, db *gorm.DB) []shop.SMSMessage {
	t.Helper()
	var rows []shop.SMSMessage
	require.NoError(t, db.Order("id").Find(&rows).Error)
	return rows
}

func TestSendThroughTheMailbox(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, db *gorm.DB) {
		cache := testCache(t, testenv.RedisURL(t))
		setCode(t, cache, "012345")
		w := newWorker(db, cache, NewMailbox(db))
		for range 2 { // the second is a task delivered again
			result, err := w.send(t.Context(), "sms_1", testMobile, testenv.Quiet())
			require.NoError(t, err)
			require.Equal(t, testMobile+"的短信发送成功", result)
		}
		rows, err := NewMailbox(db).Messages(t.Context(), testMobile, 10)
		require.NoError(t, err)
		require.Len(t, rows, 1)
		require.Equal(t, "sms_1", rows[0].TaskID)
		require.Equal(t, "012345", rows[0].Code)
		require.Equal(t, "【排队】您的验证码是012345，5分钟内有效。", rows[0].Content)
		require.Equal(t, "outbox", rows[0].Provider)
		require.NotEmpty(t, rows[0].SerialNo)
		require.Empty(t, rows[0].Error)
		require.WithinDuration(t, time.Now(), rows[0].CreatedAt, time.Minute)
		require.Equal(t, rows, messages(t, db))
	})
}

// TestALateFailureLeavesASentMessage: a worker stood still, another sent the message, and the first one wakes and fails.
func TestALateFailureLeavesASentMessage(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, db *gorm.DB) {
		cache := testCache(t, testenv.RedisURL(t))
		setCode(t, cache, "012345")
		_, err := newWorker(db, cache, NewMailbox(db)).send(t.Context(), "sms_1", testMobile, testenv.Quiet())
		require.NoError(t, err)
		sent := messages(t, db)
		require.NoError(t, messageRows{db: db}.finish(t.Context(), "sms_1", Receipt{}, errors.New("the code could not be read")))
		require.Equal(t, sent, messages(t, db))
	})
}

func TestMailboxMessagesNewestFirst(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, db *gorm.DB) {
		mailbox := NewMailbox(db)
		for _, code := range []string{"000001", "000002", "000003"} {
			_, err := mailbox.Send(t.Context(), Message{TaskID: "sms_" + code, Mobile: testMobile, Code: code, ValidFor: CodeTTL})
			require.NoError(t, err)
		}
		_, err := mailbox.Send(t.Context(), Message{TaskID: "sms_x", Mobile: "13900000000", Code: "999999", ValidFor: CodeTTL})
		require.NoError(t, err)
		_, err = messageRows{db: db, provider: "outbox"}.begin(t.Context(), "sms_unsent", testMobile)
		require.NoError(t, err)
		_, err = messageRows{db: db, provider: "tencent"}.begin(t.Context(), "sms_tencent", testMobile)
		require.NoError(t, err)
		require.NoError(t, messageRows{db: db}.finish(t.Context(), "sms_tencent", Receipt{SerialNo: "s"}, nil))

		for limit, want := range map[int][]string{
			2: {"000003", "000002"}, 0: {"000003", "000002", "000001"}, -1: {"000003", "000002", "000001"},
		} {
			rows, err := NewMailbox(db).Messages(t.Context(), testMobile, limit)
			require.NoError(t, err)
			var codes []string
			for _, row := range rows {
				codes = append(codes, row.Code)
			}
			require.Equal(t, want, codes)
		}
	})
}

func TestAMessageIsAsNewAsItsLastSending(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, db *gorm.DB) {
		mailbox := NewMailbox(db)
		_, err := messageRows{db: db, provider: "outbox"}.begin(t.Context(), "sms_retried", testMobile)
		require.NoError(t, err)
		hourAgo := time.Now().Add(-time.Hour)
		early := map[string]any{"created_at": hourAgo, "updated_at": hourAgo}
		require.NoError(t, db.Model(&shop.SMSMessage{}).Where("1 = 1").UpdateColumns(early).Error)
		for _, id := range []string{"sms_first_time_right", "sms_retried"} {
			_, err := mailbox.Send(t.Context(), Message{TaskID: id, Mobile: testMobile, Code: "000001", ValidFor: CodeTTL})
			require.NoError(t, err)
		}
		rows, err := NewMailbox(db).Messages(t.Context(), testMobile, 0)
		require.NoError(t, err)
		require.Equal(t, []string{"sms_retried", "sms_first_time_right"}, []string{rows[0].TaskID, rows[1].TaskID})
		require.WithinDuration(t, time.Now(), rows[0].UpdatedAt, time.Minute)
		require.WithinDuration(t, hourAgo, rows[0].CreatedAt, time.Minute)
	})
}

func TestAttemptsShareTheTasksRow(t *testing.T) {
	t.Parallel()
	onEachDatabase(t, func(t *testing.T, db *gorm.DB) {
		cache := testCache(t, testenv.RedisURL(t))
		setCode(t, cache, "012345")
		long := strings.Repeat("长", 300)
		sender := &scripted{errs: []error{&TencentError{Code: "LimitExceeded", Message: "slow down"}, errors.New(long)}}
		w := newWorker(db, cache, sender)
		send := func() (string, error) {
			return w.send(t.Context(), "sms_1", testMobile, testenv.Quiet())
		}

		_, err := send()
		require.EqualError(t, err, testMobile+"的短信发送失败：tencent: LimitExceeded: slow down")
		require.False(t, tasks.IsPermanent(err))
		rows := messages(t, db)
		require.Len(t, rows, 1)
		require.Equal(t, "tencent: LimitExceeded: slow down", rows[0].Error)
		require.Equal(t, "scripted", rows[0].Provider)
		require.Empty(t, rows[0].SerialNo)

		_, err = send()
		require.EqualError(t, err, testMobile+"的短信发送失败：系统繁忙，请稍后再试", "what is no provider's answer is not told")
		require.Equal(t, strings.Repeat("长", 255), messages(t, db)[0].Error)

		for range 2 {
			result, err := send()
			require.NoError(t, err)
			require.Equal(t, testMobile+"的短信发送成功", result)
		}
		rows = messages(t, db)
		require.Len(t, rows, 1)
		require.Equal(t, "serial-1", rows[0].SerialNo)
		require.EqualValues(t, 1, rows[0].Fee)
		require.Empty(t, rows[0].Error)
		require.Empty(t, rows[0].Code)
		require.Empty(t, rows[0].Content)
		sent := sender.sent()
		require.Len(t, sent, 3, "what is sent is not sent again")
		require.Equal(t, "012345", sent[2].Code)
		require.Equal(t, "sms_1", sent[2].TaskID)
		require.Equal(t, testMobile, sent[2].Mobile)
		require.InDelta(t, CodeTTL, sent[2].ValidFor, float64(30*time.Second))
	})
}

func TestSendWithoutACode(t *testing.T) {
	t.Parallel()
	db := openDB(t, "sqlite://"+t.TempDir()+"/paidui.db")
	sender := &scripted{}
	w := newWorker(db, testCache(t, testenv.RedisURL(t)), sender)
	_, err := w.send(t.Context(), "sms_1", testMobile, testenv.Quiet())
	require.ErrorContains(t, err, testMobile+"的短信发送失败")
	require.ErrorIs(t, err, errCodeGone)
	require.True(t, tasks.IsPermanent(err))
	require.Empty(t, sender.sent())
	require.Equal(t, errCodeGone.Error(), messages(t, db)[0].Error)
}

func TestSendWithoutItsServersIsRetried(t *testing.T) {
	t.Parallel()
	server := testenv.Redis(t)
	cache := testCache(t, server.URL(0))
	setCode(t, cache, "012345")
	db := openDB(t, "sqlite://"+t.TempDir()+"/paidui.db")
	sender := &scripted{}
	w := newWorker(db, cache, sender)
	check := func(taskID string) {
		t.Helper()
		_, err := w.send(t.Context(), taskID, testMobile, testenv.Quiet())
		require.EqualError(t, err, testMobile+"的短信发送失败：系统繁忙，请稍后再试", "people are not told of servers")
		require.False(t, tasks.IsPermanent(err))
		require.Empty(t, sender.sent())
	}
	server.Stop()
	check("sms_cache_gone")
	server.Start()
	setCode(t, cache, "012345")
	closeDB(t, db)
	check("sms_database_gone")
}

func TestSentButNotRecordedIsASuccess(t *testing.T) {
	t.Parallel()
	cache := testCache(t, testenv.RedisURL(t))
	setCode(t, cache, "012345")
	db := openDB(t, "sqlite://"+t.TempDir()+"/paidui.db")
	sender := &scripted{onSend: func() { closeDB(t, db) }}
	var log bytes.Buffer
	result, err := newWorker(db, cache, sender).send(t.Context(), "sms_1", testMobile, slog.New(slog.NewJSONHandler(&log, nil)))
	require.NoError(t, err, "an error would send a second message")
	require.Equal(t, testMobile+"的短信发送成功", result)
	require.Contains(t, log.String(), "serial-1")
	require.NotContains(t, log.String(), testMobile)
}

func TestOutcomeIsRecordedWhenTheWorkerIsStopped(t *testing.T) {
	t.Parallel()
	cache := testCache(t, testenv.RedisURL(t))
	setCode(t, cache, "012345")
	db := openDB(t, "sqlite://"+t.TempDir()+"/paidui.db")
	ctx, stop := context.WithCancel(t.Context())
	_, err := newWorker(db, cache, &scripted{onSend: stop}).send(ctx, "sms_1", testMobile, testenv.Quiet())
	require.NoError(t, err)
	require.Equal(t, "serial-1", messages(t, db)[0].SerialNo)
}

func TestSendErrorInALogIsMasked(t *testing.T) {
	t.Parallel()
	err := &SendError{Mobile: testMobile, Err: errors.New("tencent: no route to +86" + testMobile)}
	require.Equal(t, testMobile+"的短信发送失败：tencent: no route to +86"+testMobile, err.Error())
	busy := &SendError{Mobile: testMobile, Why: reasonBusy, Err: errors.New("dial tcp")}
	require.Equal(t, testMobile+"的短信发送失败："+reasonBusy, busy.Error())
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	logger.Error("failed", "error", err)
	logger.Error("failed", "error", busy)
	require.NotContains(t, log.String(), testMobile)
	require.Contains(t, log.String(), "138****5678的短信发送失败：tencent: no route to +86138****5678")
	require.Contains(t, log.String(), "dial tcp", "the log has the cause")
}
