package e2e

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
	"github.com/paidui/paidui/tasks/taskstest"
)

// personal are the telephone numbers of one test, by what becomes of them.
var personal = struct{ sent, scheduled, failed, kept, called string }{
	"13811110001", "13811110002", "13811110003", "13811110004", "13811110005",
}

const personalPrefix = "1381111000"

// TestNumbersAreReadInNoStore sends codes on all the ways there are, and then looks through Redis and the database.
func TestNumbersAreReadInNoStore(t *testing.T) {
	bin := build(t)
	file := filepath.Join(t.TempDir(), "schedules.yaml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `
timezone: Asia/Shanghai
schedules:
  - name: every-second
    task: sms.send
    args: {mobile: %q}
    every: 1s
    unique_for: 10s
`, personal.scheduled), 0o600))
	redis := testenv.Redis(t)
	databaseURL := testenv.MySQL(t)
	env := []string{
		"PAIDUI_BROKER_URL=" + redis.URL(1),
		"PAIDUI_CACHE_URL=" + redis.URL(2),
		"PAIDUI_DATABASE_URL=" + databaseURL,
		"PAIDUI_JWT_SECRET=" + jwtSecret,
		"PAIDUI_OPERATOR_KEY=" + operatorKey,
		"PAIDUI_SCHEDULES=" + file,
	}
	keys := append([]string{"PAIDUI_PAYLOAD_KEYS=" + taskstest.Key("k1")}, env...)
	api := start(t, filepath.Join(bin, "api"), "api", keys)
	all := []*program{
		api, start(t, filepath.Join(bin, "worker"), "worker", keys), start(t, filepath.Join(bin, "scheduler"), "scheduler", keys),
		start(t, filepath.Join(bin, "api"), "api-without", env),
	}
	for _, p := range all {
		p.awaitReady(t)
	}
	blind := all[3]
	var types []struct {
		Name      string
		Encrypted bool
	}
	must(t, http.MethodGet, api.url+"/v1/task-types", operatorKey, nil).into(t, &types)
	for _, kind := range types {
		require.Equal(t, kind.Name == "sms.send", kind.Encrypted, kind.Name)
	}

	send := func(mobile string, options map[string]any) map[string]any {
		call := map[string]any{"task": "sms.send", "args": map[string]any{"mobile": mobile}}
		for name, value := range options {
			call[name] = value
		}
		return call
	}
	sent := must(t, http.MethodPost, api.url+"/v1/sms", "", map[string]any{"mobile": personal.sent})
	failed := must(t, http.MethodPost, api.url+"/v1/tasks", operatorKey, send(personal.failed, map[string]any{
		"history": "full", "on_failure": []any{send(personal.called, map[string]any{"id": "called", "throttle": "1h"})},
	}))
	kept := must(t, http.MethodPost, api.url+"/v1/tasks", operatorKey, send(personal.kept, map[string]any{
		"durable": true, "countdown": "1h", "unique_for": "2h", "expires": "3h", "on_success": []any{send(personal.called, nil)},
	}))
	must(t, http.MethodPost, api.url+"/v1/tasks/batch", operatorKey, map[string]any{"tasks": []any{
		send(personal.failed, map[string]any{"throttle": "1h", "history": "full"}), send(personal.failed, map[string]any{"unique_key": personal.failed, "debounce": "1h", "expires": "3h"}),
	}})

	type task struct {
		State, Error, Withheld string
		Args, Result           json.RawMessage
		Attempts               []struct{ Error string }
	}
	ask := func(p *program, id, key string) (got task) {
		must(t, http.MethodGet, p.url+"/v1/tasks/"+id+"?wait=30s", key, nil).into(t, &got)
		return got
	}
	got := ask(api, sent.TaskID, "")
	require.Equal(t, "SUCCESS", got.State)
	require.JSONEq(t, `"`+personal.sent+`的短信发送成功"`, string(got.Result), "whoever sent it may know")
	got = ask(api, failed.TaskID, operatorKey)
	require.Equal(t, "FAILURE", got.State, "there is no code to send")
	require.Contains(t, got.Error, personal.failed)
	require.Contains(t, got.Attempts[0].Error, personal.failed)
	require.Contains(t, string(got.Args), personal.failed)
	require.Contains(t, ask(api, "called", operatorKey).Error, personal.called)
	var waiting task
	must(t, http.MethodGet, api.url+"/v1/tasks/"+kept.TaskID, operatorKey, nil).into(t, &waiting)
	require.Contains(t, string(waiting.Args), personal.kept)
	for _, id := range []string{sent.TaskID, failed.TaskID} {
		got = ask(blind, id, operatorKey)
		require.Contains(t, got.Withheld, `"k1"`)
		require.Empty(t, got.Args)
		require.NotContains(t, fmt.Sprint(got), personalPrefix)
	}
	require.Equal(t, "服务器没有解密所需的密钥", ask(blind, sent.TaskID, "").Withheld, "strangers learn no id of a key")

	var page struct {
		Tasks []struct{ ID, State, Error, Args string }
	}
	search := func(p *program) {
		e := must(t, http.MethodGet, p.url+"/v1/tasks?task=sms.send&state=FAILURE", operatorKey, nil)
		var raw struct {
			Tasks []struct {
				ID, State, Error string
				Args             json.RawMessage
			}
		}
		e.into(t, &raw)
		page.Tasks = nil
		for _, one := range raw.Tasks {
			page.Tasks = append(page.Tasks, struct{ ID, State, Error, Args string }{one.ID, one.State, one.Error, string(one.Args)})
		}
	}
	require.Eventually(t, func() bool {
		search(api)
		scheduled, full := 0, 0
		for _, one := range page.Tasks {
			switch {
			case strings.HasPrefix(one.ID, "every-second@"):
				require.NotContains(t, one.Error, personal.scheduled, "the history is not to have it")
				require.Contains(t, one.Error, "***的短信发送失败")
				scheduled++
			case one.ID == failed.TaskID:
				require.Contains(t, one.Error, personal.failed)
				require.Contains(t, one.Args, personal.failed)
				full++
			}
		}
		return scheduled > 0 && full > 0
	}, time.Minute, 50*time.Millisecond)
	search(blind)
	require.NotEmpty(t, page.Tasks)
	require.NotContains(t, fmt.Sprint(page), personalPrefix)

	look := func() (broker, cache, database string) {
		return taskstest.Dump(t, taskstest.Connect(t, redis.URL(1))), taskstest.Dump(t, taskstest.Connect(t, redis.URL(2))), dumpMySQL(t, databaseURL)
	}
	broker, cache, database := look()
	require.Contains(t, broker, `{"paidui_encrypted":"k1"`)
	require.NotContains(t, broker, personalPrefix)
	for line := range strings.SplitSeq(cache, "\n") {
		key, value, _ := strings.Cut(line, " = ")
		if strings.HasPrefix(key, "send_sms_code_") || strings.HasPrefix(key, "paidui:sms:") {
			line = value // these keys have the number in their names
		}
		require.NotContains(t, line, personalPrefix)
	}
	require.Contains(t, database, `outbox.body = {"id":"`+kept.TaskID)
	require.Contains(t, database, `paidui_task_records.args = {"paidui_encrypted":"k1"`)
	for line := range strings.SplitSeq(database, "\n") {
		if column, _, _ := strings.Cut(line, " = "); column != "sms_messages.mobile" && column != "users.mobile" {
			require.NotContains(t, line, personalPrefix)
		}
	}
	for _, p := range all {
		require.NotContains(t, p.log.String(), personalPrefix, "the log of %s", p.name)
	}
	require.Contains(t, blind.log.String(), `"setting":"PAIDUI_PAYLOAD_KEYS","tasks":["sms.send"]`, "it says that it has no keys")
	require.Equal(t, 1, strings.Count(blind.log.String(), "are stored in the clear"))
	require.NotContains(t, api.log.String(), "are stored in the clear")
	for _, p := range all {
		p.terminate(t)
	}
}

// dumpMySQL is every value of every row of every table, a line each: "table.column = value".
func dumpMySQL(t *testing.T, databaseURL string) string {
	t.Helper()
	gormDB, err := models.Open(t.Context(), databaseURL, models.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, models.Close(gormDB)) }()
	db, err := gormDB.DB()
	require.NoError(t, err)
	u, err := url.Parse(databaseURL)
	require.NoError(t, err)
	var tables []string
	require.NoError(t, gormDB.Raw("SELECT table_name FROM information_schema.tables WHERE table_schema = ?", strings.TrimPrefix(u.Path, "/")).Scan(&tables).Error)
	require.Greater(t, len(tables), 10)
	var b strings.Builder
	for _, table := range tables {
		rows, err := db.QueryContext(t.Context(), "SELECT * FROM `"+table+"`")
		require.NoError(t, err)
		columns, err := rows.Columns()
		require.NoError(t, err)
		values, into := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		for rows.Next() {
			require.NoError(t, rows.Scan(into...))
			for i, column := range columns {
				fmt.Fprintf(&b, "%s.%s = %s\n", table, column, strings.ReplaceAll(string(values[i]), "\n", " "))
			}
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
	}
	return b.String()
}
