package audit

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/paidui/paidui/deploy/testenv"
	"github.com/paidui/paidui/models"
)

// insert writes acts at once, and gives them their ids.
func insert(t *testing.T, db *gorm.DB, acts []Act) {
	t.Helper()
	rows := make([]*models.AuditRecord, len(acts))
	for i := range acts {
		rows[i] = acts[i].record()
	}
	require.NoError(t, db.CreateInBatches(rows, 500).Error)
	for i, r := range rows {
		acts[i].ID = r.ID
	}
}

// TestSearchFindsWhatMatches compares searches of all kinds with going through all acts.
func TestSearchFindsWhatMatches(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		l, _ := logged(db)
		whats := []string{"POST /v1/queues/:name/pause", "POST /v1/queues/:name/resume", "POST /v1/tasks", "POST /v1/tasks/:id/retry", "DELETE /v1/tasks"}
		whos := []string{"alice", "bob", "operator", ""}
		subjects := []string{"default", "low", "排队", ""}
		pick := func(list []string) string { return list[rand.IntN(len(list))] }
		var acts []Act
		for range 400 {
			a := pause(rand.IntN(60)) // many of the same moment
			a.Who, a.What, a.Subject, a.Status = pick(whos), pick(whats), pick(subjects), 200
			acts = append(acts, a)
		}
		insert(t, db, acts)
		slices.SortFunc(acts, func(a, b Act) int {
			if c := b.At.Compare(a.At); c != 0 {
				return c
			}
			return int(b.ID - a.ID)
		})
		queries := 150
		if db.Name() == "sqlite" { // which is slow under the race detector
			queries = 40
		}
		for range testenv.Rounds(queries) {
			q := Query{
				Who: pick(append(whos, "", "", "nobody")), Subject: pick(append(subjects, "", "", "nothing")), Limit: 1 + rand.IntN(60),
				What: pick([]string{"", "", "POST", "POST /v1/queues", "POST /v1/tasks", "DELETE /v1/tasks", "PUT"}),
			}
			if rand.IntN(3) == 0 {
				q.From = epoch.Add(time.Duration(rand.IntN(30)) * time.Second)
			}
			if rand.IntN(3) == 0 {
				q.To = epoch.Add(time.Duration(30+rand.IntN(30)) * time.Second)
			}
			var want []int64
			for _, a := range acts {
				if (q.Who == "" || q.Who == a.Who) && (q.Subject == "" || q.Subject == a.Subject) && strings.HasPrefix(a.What, q.What) &&
					!a.At.Before(q.From) && (q.To.IsZero() || a.At.Before(q.To)) {
					want = append(want, a.ID)
				}
			}
			var got []int64
			for _, a := range all(t, l, q) {
				got = append(got, a.ID)
			}
			require.Equal(t, want, got, "%+v", q)
		}
	})
}

// TestASearchLooksAtSoMany: of two filters that match much each and nothing together, a page ends, and the next goes on.
func TestASearchLooksAtSoMany(t *testing.T) {
	t.Parallel()
	db := open(t, testenv.MySQL(t))
	require.NoError(t, models.Migrate(t.Context(), db))
	l, _ := logged(db)
	const column = "INSERT INTO paidui_audit_log (at, who, role, what, subject, request_id, address, status, code, message, task_id, micros) SELECT "
	require.NoError(t, db.Exec(column+"? + INTERVAL seq SECOND, IF(seq IN (1, 9000), 'bob', 'alice'), 'operator', 'POST /v1/x/:id', 'default', '', '', 200, 100,"+
		" '', '', 1 FROM "+testenv.Numbers(0, 10_999), epoch).Error)
	q := Query{Who: "bob", Subject: "default"}
	page, err := l.Search(t.Context(), q)
	require.NoError(t, err)
	require.Len(t, page.Acts, 1)
	require.NotEmpty(t, page.Next)
	found := all(t, l, q)
	require.Equal(t, []time.Time{epoch.Add(9000 * time.Second), epoch.Add(time.Second)}, []time.Time{found[0].At, found[1].At})
	require.Len(t, found, 2)
}

func TestSearchesThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, db *gorm.DB) {
		l, _ := logged(db)
		insert(t, db, []Act{pause(1), pause(2)})
		page, err := l.Search(t.Context(), Query{Limit: 1, Who: "alice"})
		require.NoError(t, err)
		good := page.Next
		raw, err := base64.RawURLEncoding.DecodeString(good)
		require.NoError(t, err)
		raw[0]++
		for name, c := range map[string]struct {
			field string
			query Query
		}{
			"who":               {"who", Query{Who: strings.Repeat("x", 129)}},
			"bytes":             {"who", Query{Who: "\xff"}},
			"what":              {"what", Query{What: strings.Repeat("x", 256)}},
			"subject":           {"subject", Query{Subject: strings.Repeat("排", 256)}},
			"from":              {"from", Query{From: time.Date(1, 2, 3, 4, 5, 6, 7, time.UTC)}},
			"to":                {"to", Query{To: time.Unix(1<<50, 0)}},
			"to before from":    {"to", Query{From: epoch, To: epoch}},
			"limit":             {"limit", Query{Limit: MaxLimit + 1}},
			"negative limit":    {"limit", Query{Limit: -1}},
			"cursor":            {"cursor", Query{Cursor: "x"}},
			"cursor changed":    {"cursor", Query{Who: "alice", Cursor: base64.RawURLEncoding.EncodeToString(raw)}},
			"cursor of another": {"cursor", Query{Who: "bob", Cursor: good}},
			"cursor of zeros":   {"cursor", Query{Cursor: strings.Repeat("A", 32)}},
		} {
			_, err := l.Search(t.Context(), c.query)
			var wrong *QueryError
			require.ErrorAs(t, err, &wrong, name)
			require.Equal(t, c.field, wrong.Field, name)
		}
		var many []Act
		for i := range maxWhats + 1 {
			a := pause(i)
			a.What = fmt.Sprintf("PUT /%d", i)
			many = append(many, a)
		}
		insert(t, db, many)
		_, err = l.Search(t.Context(), Query{What: "PUT"})
		var wrong *QueryError
		require.ErrorAs(t, err, &wrong)
		require.Equal(t, "what", wrong.Field)
		require.Len(t, all(t, l, Query{What: "PUT /20"}), 2)
	})
}
