package e2e

import (
	"fmt"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/paidui/paidui/deploy/testenv"
)

// awayVariable is for how long the database is away, as "60s". The test takes as long, so that it does not run without.
const awayVariable = "TEST_DATABASE_AWAY"

// TestWhatIsAcceptedWaitsForTheDatabase accepts orders and SMS while MySQL is away, by its end or as a server that does not
// answer. Then all are there: an accepted place waits for the database, and an SMS for as long as its code lives.
func TestWhatIsAcceptedWaitsForTheDatabase(t *testing.T) {
	text := os.Getenv(awayVariable)
	if text == "" {
		t.Skip(awayVariable + " says for how long")
	}
	span, err := time.ParseDuration(text)
	require.NoError(t, err)
	const buyers, messages = 155, 200
	server, err := testenv.StartMariaDB()
	require.NoError(t, err)
	t.Cleanup(server.Stop)
	url, err := server.Database(t.Context(), "paidui")
	require.NoError(t, err)
	c := startClusterOn(t, url)
	tokens := c.logIn(t, buyers+1)
	for n, fault := range []struct {
		name      string
		away, end func()
	}{
		{"halted", func() { server.Halt(syscall.SIGTERM) }, func() { require.NoError(t, server.StartAgain()) }},
		{"frozen", server.Freeze, server.Thaw},
	} {
		t.Run(fault.name, func(t *testing.T) {
			g := c.putOnSale(t, fault.name, buyers+1)
			buy := func(i int) envelope {
				e, err := call(t.Context(), http.MethodPost, c.api(i)+"/v1/seckill", tokens[i], map[string]any{"goods_id": g.ID})
				require.NoError(t, err)
				return e
			}
			require.Equal(t, 100, buy(buyers).Code) // so that the sale is loaded

			fault.away()
			begun := time.Now()
			tickets, codes := make([]envelope, buyers), make([]envelope, messages)
			inParallel(buyers+messages, func(i int) {
				if i < buyers {
					<-time.After(span * 3 / 4 * time.Duration(i) / buyers)
					tickets[i] = buy(i)
					return
				}
				at := i - buyers
				<-time.After(span * 3 / 4 * time.Duration(at) / messages)
				mobile := fmt.Sprint(13700000000 + 1000*n + at)
				var err error
				codes[at], err = call(t.Context(), http.MethodPost, c.api(i)+"/v1/sms", "", map[string]any{"mobile": mobile})
				require.NoError(t, err)
			})
			<-time.After(span - time.Since(begun))
			fault.end()
			back := time.Now()

			ordered, sent := 0, 0
			outcomes := map[string]int{}
			for i, a := range tickets {
				require.Equal(t, 100, a.Code, "%d %s", a.status, a.Msg)
				var last envelope
				require.Eventually(t, func() bool {
					last = must(t, http.MethodGet, c.api(i)+"/v1/seckill?task_id="+a.TaskID, "", nil)
					return last.Code != 102 && last.Code != 103
				}, 3*time.Minute, 100*time.Millisecond, "ticket %s", a.TaskID)
				outcomes[last.Msg]++
				if last.Code == 100 {
					ordered++
				}
			}
			t.Logf("%d of %d tickets have orders %v after the end: %v", ordered, buyers, time.Since(back).Round(time.Second), outcomes)
			outcomes = map[string]int{}
			for i, a := range codes {
				require.Equal(t, 100, a.Code, "%d %s", a.status, a.Msg)
				var task struct{ State, Error string }
				require.Eventually(t, func() bool {
					must(t, http.MethodGet, c.api(i)+"/v1/tasks/"+a.TaskID+"?wait=10s", "", nil).into(t, &task)
					return task.State == "SUCCESS" || task.State == "FAILURE"
				}, 3*time.Minute, time.Millisecond, "message %s", a.TaskID)
				outcomes[task.State+task.Error]++
				if task.State == "SUCCESS" {
					sent++
				}
			}
			t.Logf("%d of %d messages are sent %v after the end: %v", sent, messages, time.Since(back).Round(time.Second), outcomes)
			require.Equal(t, []int{buyers, messages}, []int{ordered, sent})
			require.Eventually(t, func() bool {
				must(t, http.MethodGet, fmt.Sprintf("%s/v1/goods/%d", c.api(1), g.ID), "", nil).into(t, &g)
				return g.Stock == 0
			}, time.Minute, 100*time.Millisecond, "each piece is one order's")
		})
	}
}
